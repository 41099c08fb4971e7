/**
 * Index arithmetic between reports and the rows that the decoders compute. Only sentences that exist and words that
 * count are computed: half of a grid is padding.
 */
import type { ModelConfig } from '#model/config.ts';
import { END, PAD, type ReportGrid, UNKNOWN } from '#model/text/vocabulary.ts';

/**
 * Row counts are rounded up to multiples of these, so that TensorFlow meets few shapes: its kernels are set up, and
 * their scratch memory is kept, once a shape; and every shape of a compiled step is a graph of its own.
 */
export interface Buckets {
  /** Of sentences side by side, and of the sentence decoder's steps. */
  readonly sentences: number;
  readonly sentenceSteps: number;
  /** Of words that count, and of the word decoder's steps. */
  readonly words: number;
  readonly wordSteps: number;
  /** Of tokens of a flat report. */
  readonly tokens: number;
}

/** Little is computed in vain. */
export const FINE: Buckets = { sentences: 16, sentenceSteps: 1, words: 64, wordSteps: 4, tokens: 8 };

/** Few shapes: quarters of what a batch can have at most, of words eighths, since a grid is never full of them. */
export function coarseBuckets(config: Pick<ModelConfig, 'report' | 'reportDiscriminator'>, batch: number): Buckets {
  const { maxSentences, maxWords } = config.report;
  return {
    sentences: Math.ceil((batch * maxSentences) / 4),
    sentenceSteps: maxSentences,
    words: Math.ceil((batch * maxSentences * maxWords) / 8),
    wordSteps: Math.ceil(maxWords / 2),
    tokens: Math.ceil(config.reportDiscriminator.maxTokens / 4),
  };
}

export const roundUp = (count: number, bucket: number): number => Math.max(1, Math.ceil(count / bucket)) * bucket;

/** The sentences of a batch, side by side. */
export interface SentenceRows {
  /** Sentences that exist. */
  readonly count: number;
  /** S': the sentence decoder's steps. */
  readonly steps: number;
  /** [N] row s * B + b of each sentence in the sentence decoder's states; N >= count is filled up with row 0. */
  readonly rows: Int32Array;
  /** [B * S] the n of sentence s of report b, or -1. */
  readonly sentenceAt: Int32Array;
}

/** @param lengths [B] sentences of each report, at most S */
export function sentenceRows(lengths: readonly number[], sentences: number, buckets = FINE): SentenceRows {
  const count = lengths.reduce((sum, length) => sum + length, 0);
  const rows = new Int32Array(roundUp(count, buckets.sentences));
  const sentenceAt = new Int32Array(lengths.length * sentences).fill(-1);
  let n = 0;
  for (const [b, length] of lengths.entries()) {
    for (let s = 0; s < length; s++) {
      rows[n] = s * lengths.length + b;
      sentenceAt[b * sentences + s] = n++;
    }
  }
  const steps = Math.min(sentences, roundUp(Math.max(1, ...lengths), buckets.sentenceSteps));
  return { count, steps, rows, sentenceAt };
}

/** What teacher forcing needs of a grid of reports. */
export interface TeacherRows extends SentenceRows {
  /** [S' * B] 1 (STOP) for each report's last sentence, else 0 (CONTINUE). */
  readonly stopTargets: Int32Array;
  /** [S' * B] 1 where the sentence exists. */
  readonly stopWeights: Float32Array;
  /** T': the word decoder's steps. */
  readonly words: number;
  /** [T' - 1, N] the word before each prediction but the first. */
  readonly previous: Int32Array;
  /** [M] rows t * N + n of the predictions that count, filled up with row 0. */
  readonly wordRows: Int32Array;
  /** [M] */
  readonly wordTargets: Int32Array;
  /** [M] 1 where the word counts, END included, PAD not. */
  readonly wordWeights: Float32Array;
  /** Words that count. */
  readonly wordCount: number;
}

export function teacherRows(grid: ReportGrid, buckets = FINE): TeacherRows {
  const { reports, sentences, words: width } = grid;
  const lengths = Array.from({ length: reports }, (_, b) => sentencesOf(grid, b));
  const placed = sentenceRows(lengths, sentences, buckets);
  const stopTargets = new Int32Array(placed.steps * reports);
  const stopWeights = new Float32Array(placed.steps * reports);
  for (const [b, length] of lengths.entries()) {
    for (let s = 0; s < length; s++) stopWeights[s * reports + b] = 1;
    if (length > 0) stopTargets[(length - 1) * reports + b] = 1;
  }
  const wordCounts = lengths.flatMap((length, b) => Array.from({ length }, (_, s) => wordsOf(grid, b, s)));
  const words = Math.min(width, roundUp(Math.max(1, ...wordCounts), buckets.wordSteps));
  const wordCount = wordCounts.reduce((sum, count) => sum + count, 0);
  const columns = placed.rows.length;
  const previous = new Int32Array((words - 1) * columns);
  const wordRows = new Int32Array(roundUp(wordCount, buckets.words));
  const wordTargets = new Int32Array(wordRows.length);
  let m = 0;
  for (const [cell, n] of placed.sentenceAt.entries()) {
    if (n < 0) continue;
    for (let t = 0; t < (wordCounts[n] ?? 0); t++) {
      const id = grid.ids[cell * width + t] ?? PAD;
      if (t < words - 1) previous[t * columns + n] = id;
      wordRows[m] = t * columns + n;
      wordTargets[m++] = id;
    }
  }
  const wordWeights = new Float32Array(wordRows.length).fill(1, 0, wordCount);
  return { ...placed, stopTargets, stopWeights, words, previous, wordRows, wordTargets, wordWeights, wordCount };
}

/** Reports as the discriminators read them: the tokens of all sentences in a row, END between them. */
export interface FlatReports {
  /** [B, L] row-major, PAD after the report. */
  readonly ids: Int32Array;
  readonly reports: number;
  /** L */
  readonly tokens: number;
  /** [B] */
  readonly lengths: Int32Array;
}

/**
 * A grid as flat reports, each cut at `maxTokens`, and the cell of the grid that each token comes from (-1: none).
 * UNKNOWN is left out, and so is a sentence of nothing else: F writes neither, so they would give away every third real
 * report of Open-i.
 */
export function flattenReports(
  grid: ReportGrid,
  maxTokens: number,
  buckets = FINE,
): FlatReports & { readonly cells: Int32Array } {
  const kept = Array.from({ length: grid.reports }, (_, b) =>
    Array.from({ length: grid.sentences }, (_, s) => judgedCells(grid, b * grid.sentences + s))
      .flat()
      .slice(0, maxTokens),
  );
  const lengths = Int32Array.from(kept, cells => cells.length);
  const tokens = Math.min(maxTokens, roundUp(Math.max(1, ...lengths), buckets.tokens));
  const cells = new Int32Array(grid.reports * tokens).fill(-1);
  for (const [b, row] of kept.entries()) cells.set(row, b * tokens);
  const ids = cells.map(cell => (cell < 0 ? PAD : (grid.ids[cell] ?? PAD)));
  return { ids, reports: grid.reports, tokens, lengths, cells };
}

/** The cells of a sentence that hold words or END; none where there is no word. */
function judgedCells({ ids, words }: ReportGrid, sentence: number): number[] {
  const cells = Array.from({ length: words }, (_, t) => sentence * words + t);
  const kept = cells.filter(cell => ids[cell] !== PAD && ids[cell] !== UNKNOWN);
  return kept[0] !== undefined && ids[kept[0]] === END ? [] : kept;
}

/** The sentences of report b: those before the first that begins with PAD. */
function sentencesOf({ ids, sentences, words }: ReportGrid, b: number): number {
  let s = 0;
  while (s < sentences && ids[(b * sentences + s) * words] !== PAD) s++;
  return s;
}

/** The tokens of a sentence, END included. */
function wordsOf({ ids, sentences, words }: ReportGrid, b: number, s: number): number {
  const at = (b * sentences + s) * words;
  let t = 0;
  while (t < words && ids[at + t] !== PAD) if (ids[at + t++] === END) break;
  return t;
}
