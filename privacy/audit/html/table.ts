/** Tables of the report: every cell is escaped here, unless it was made as markup by another part of the report. */
import type { Verdict } from '../gates/finding.ts';
import { escapeHtml } from './escape.ts';

export interface Markup {
  readonly html: string;
}
export type Cell = string | number | null | Markup;

export interface Column {
  readonly title: string;
  readonly numeric?: boolean;
  /** Holds sentences: kept wide enough to read on a narrow screen, where the table scrolls. */
  readonly prose?: boolean;
}

const cellHtml = (cell: Cell): string =>
  cell === null
    ? '–'
    : typeof cell === 'object'
      ? cell.html
      : escapeHtml(typeof cell === 'number' ? format(cell) : cell);

/** Integers with separators, other numbers with four significant digits. */
const format = (value: number): string =>
  Number.isInteger(value) ? value.toLocaleString('en-US') : String(Number(value.toPrecision(4)));

/** @param caption read by screen readers, and shown */
export function table(caption: string, columns: readonly Column[], rows: readonly (readonly Cell[])[]): string {
  const kind = (i: number) =>
    columns[i]?.numeric === true ? ' class="n"' : columns[i]?.prose === true ? ' class="prose"' : '';
  const head = columns.map(({ title }, i) => `<th scope="col"${kind(i)}>${escapeHtml(title)}</th>`).join('');
  const body = rows
    .map(row => `<tr>${row.map((cell, i) => `<td${kind(i)}>${cellHtml(cell)}</td>`).join('')}</tr>`)
    .join('\n');
  return `<div class="scroll"><table><caption>${escapeHtml(caption)}</caption><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}

export const VERDICT_WORDS: Readonly<Record<Verdict, string>> = {
  pass: 'pass',
  fail: 'fail',
  'insufficient-evidence': 'insufficient evidence',
};

export const badge = (verdict: Verdict): Markup => ({
  html: `<span class="badge ${verdict}">${VERDICT_WORDS[verdict]}</span>`,
});
