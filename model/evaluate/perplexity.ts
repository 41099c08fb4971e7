/**
 * Word perplexity exp(nllSum / tokens) of F, and of the simplest model that it must beat. Both count the same tokens of
 * the same grids: every word, END of each sentence, and UNKNOWN for words outside the vocabulary.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type { LogLikelihood, ReportGenerator } from '#model/emixer/report-generator.ts';
import { PAD, type ReportGrid, START, type Vocabulary } from '#model/text/vocabulary.ts';

/** Never predicted, so never counted. */
const SILENT: ReadonlySet<number> = new Set([PAD, START]);

/** @returns NaN without tokens */
export const perplexity = ({ nllSum, tokens }: LogLikelihood): number => Math.exp(nllSum / tokens);

export const addLikelihoods = (a: LogLikelihood, b: LogLikelihood): LogLikelihood => ({
  nllSum: a.nllSum + b.nllSum,
  tokens: a.tokens + b.tokens,
});

/** Image features with the reports that belong to them; the receiver disposes of the features. */
export interface EvaluationBatch {
  /** [B, 512] */
  readonly features: tf.Tensor2D;
  readonly grid: ReportGrid;
}

/** The sums of F over all batches. */
export async function decoderLikelihood(
  decoder: ReportGenerator,
  batches: AsyncIterable<EvaluationBatch> | Iterable<EvaluationBatch>,
): Promise<LogLikelihood> {
  let sums: LogLikelihood = { nllSum: 0, tokens: 0 };
  for await (const { features, grid } of batches) {
    sums = addLikelihoods(sums, decoder.logLikelihood(features, grid));
    features.dispose();
  }
  return sums;
}

/** p(id) = (count(id) + 1) / (total + ids), over words, END and UNKNOWN, counted in training reports (add-one). */
export class UnigramModel {
  readonly #counts: Float64Array;
  readonly #total: number;

  constructor(vocabulary: Vocabulary, training: Iterable<ReportGrid>) {
    const counts = new Float64Array(vocabulary.size).fill(1);
    for (const id of SILENT) counts[id] = 0;
    for (const grid of training) {
      for (const id of grid.ids) if (!SILENT.has(id)) counts[id] = (counts[id] ?? 0) + 1;
    }
    this.#counts = counts;
    this.#total = counts.reduce((sum, count) => sum + count, 0);
  }

  logLikelihood(grid: ReportGrid): LogLikelihood {
    let nllSum = 0;
    let tokens = 0;
    for (const id of grid.ids) {
      if (SILENT.has(id)) continue;
      nllSum -= Math.log((this.#counts[id] ?? 0) / this.#total);
      tokens++;
    }
    return { nllSum, tokens };
  }
}
