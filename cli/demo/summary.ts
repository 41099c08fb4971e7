/** The demo's result as a person reads it. */
import { relative } from 'node:path';
import { textTable } from '../table.ts';
import type { DemoResult } from './outputs.ts';

/** The verdict, why, and what it means for the files. */
export function verdictText({ audit }: Pick<DemoResult, 'audit'>): string {
  const withheld = 'Model and synthetic pairs are WITHHELD: they lie in withheld/ and are not for release.';
  return [`verdict: ${audit.verdict}`, audit.sentence, ...(audit.verdict === 'pass' ? [] : [withheld])].join('\n');
}

export function summaryText(result: DemoResult): string {
  const show = (value: number | null | undefined): string =>
    value === null || value === undefined ? '-' : value.toPrecision(4);
  const rounds = result.rounds.map(({ round, seconds, sites, evaluation }) => [
    String(round),
    `${seconds.toFixed(1)} s`,
    sites.map(({ name, records }) => `${name} ${records}`).join(', '),
    show(evaluation?.perplexity),
    show(evaluation?.unigramPerplexity),
    show(evaluation?.fid),
    show(evaluation?.fidUntrained),
  ]);
  const head = ['round', 'time', 'records', 'perplexity', 'unigram', 'FID', 'untrained'];
  const files = [
    ['model', result.model.path],
    ['pairs', result.synthetic.path],
    ['gallery', result.gallery],
    ['curves', result.curves.png],
    ['audit', result.report],
  ] as const;
  return [
    '',
    textTable(head, rounds),
    '',
    verdictText(result),
    '',
    'What left the hospitals (each item with its hash in egress.json):',
    textTable(['site', 'kind', 'items', 'bytes'], egressRows(result)),
    '',
    ...files.map(([name, path]) => `${name.padEnd(8)} ${relative('.', path)}`),
    `coordinator peak memory ${(result.coordinator.peakRssBytes / 2 ** 20).toFixed(0)} MiB, ${result.wallSeconds.toFixed(0)} s in all`,
  ].join('\n');
}

const egressRows = ({ egress }: DemoResult): (readonly [string, string, number, number])[] =>
  egress.sites.flatMap(({ name, kinds }) =>
    Object.entries(kinds).map(([kind, { items, bytes }]) => [name, kind, items, bytes] as const),
  );
