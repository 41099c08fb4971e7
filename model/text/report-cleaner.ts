/**
 * Report text -> sentences of tokens, in the manner of R2Gen's cleaner (Chen et al. 2020, EMNLP, section 4.1), for
 * MIMIC-CXR's and Open-i's free text alike. Where R2Gen's rules destroy meaning they are not followed: "and/or" is two
 * tokens (there "andor"), "3.5 cm" keeps its point (there "35 cm"), and a removed name leaves one mark, whatever the
 * collection wrote in its place.
 */

/** What stands for text that de-identification removed: Open-i's own mark in lower case. */
export const REMOVED = 'xxxx';

/** `___` (MIMIC-CXR), `XXXX` (Open-i), `[** ... **]` (MIMIC-III); bounded, so that hostile text costs linear time. */
const REMOVED_MARK = /\[\*\*[^\]]{0,200}\]|_{2,}|x{3,}/giu;
/** Initials and abbreviations such as "a.m.", "e.g."; the second alternative keeps the point that also ends a sentence. */
const INITIALS_AT_END = /\b(\p{L})\.(\p{L})\.(?=\s+\p{Lu}|\s*$)/gu;
const INITIALS = /\b(\p{L})\.(\p{L})\./gu;
const TITLE = /\b(dr|mr|mrs|ms|vs|approx)\.(?=\s)/giu;
/** "1. " of a numbered list, with or without a point before it. */
const LIST_NUMBER = /(^|\s)[1-9][.)]\s+/gu;
/** A sentence ends at a point before white space, at a point glued to the next capital, or at an empty line. */
const SENTENCE_END = /[.?!]+(?=\s|$)|(?<=[\p{Ll})])\.(?=\p{Lu})|\n\s*\n/gu;
const TOKEN = /\p{N}+(?:\.\p{N}+)+|[\p{L}\p{N}]+(?:-[\p{L}\p{N}]+)*/gu;
const ONE_TOKEN = new RegExp(`^(?:${TOKEN.source})$`, 'u');

/** Whether `token` is one that cleanReport can return. */
export const isReportToken = (token: string): boolean => ONE_TOKEN.test(token) && token === token.toLowerCase();

/**
 * Sentences of lower-case tokens; sentences without a token are dropped, so a report of punctuation is [].
 * Cleaning what joinReport made of a cleaned report changes nothing.
 */
export function cleanReport(raw: string): string[][] {
  const marked = raw
    .normalize('NFKC')
    .replace(/\r\n?/gu, '\n')
    .replace(REMOVED_MARK, ` ${REMOVED} `)
    .replace(/['’]/gu, '')
    .replace(INITIALS_AT_END, '$1$2.')
    .replace(INITIALS, '$1$2')
    .replace(TITLE, '$1')
    .replace(LIST_NUMBER, '$1. ');
  return marked
    .split(SENTENCE_END)
    .map(sentence => sentence.toLowerCase().match(TOKEN) ?? [])
    .filter(sentence => sentence.length > 0)
    .map(sentence => [...sentence]);
}

/** The stored form of a report: tokens joined by " ", sentences by " . ", with a final " ."; '' without sentences. */
export function joinReport(sentences: readonly (readonly string[])[]): string {
  const written = sentences.filter(sentence => sentence.length > 0).map(sentence => sentence.join(' '));
  return written.length === 0 ? '' : `${written.join(' . ')} .`;
}

/** The inverse of joinReport. */
export function parseReport(report: string): string[][] {
  const sentences: string[][] = [[]];
  for (const token of report.split(/\s+/u)) {
    if (token === '.') sentences.push([]);
    else if (token !== '') sentences.at(-1)?.push(token);
  }
  return sentences.filter(sentence => sentence.length > 0);
}
