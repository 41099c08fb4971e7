/** A cleaned report as a reader sees it. */
import { parseReport } from './report-cleaner.ts';

/** The sentences of a stored report ("the lungs are clear . no effusion ."), each with its capital and full stop. */
export const displaySentences = (report: string): string[] =>
  parseReport(report).map(tokens => {
    const sentence = tokens.join(' ');
    return `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`;
  });
