/** What a step of adversarial training costs here: time, calls into TensorFlow, memory. */
import * as tf from '@tensorflow/tfjs-core';
import { FedError } from '#proto/errors.ts';
import { countCalls } from '../backend/count-calls.ts';
import type { ModelConfig } from '../config.ts';
import { Emixer } from '../emixer/emixer.ts';
import { Vocabulary } from '../text/vocabulary.ts';
import { AdversarialTrainer } from '../training/adversarial-trainer.ts';
import { syntheticData, syntheticWords } from './synthetic-data.ts';

/** The first iterations allocate, compile and fill caches. */
const WARM_UP = 2;

/** `image`: G and D_image, two D steps and a G step; `all`: F, D_report and D_joint too. */
export const BENCH_PARTS = ['image', 'all'] as const;
export type BenchPart = (typeof BENCH_PARTS)[number];

export interface BenchOptions {
  /** Its batchSize is measured. */
  readonly config: ModelConfig;
  /** Words that reports are drawn from. */
  readonly vocabulary: number;
  /** After the two of warm-up, at least 1. */
  readonly iterations: number;
  readonly part: BenchPart;
  readonly seed: number;
  /** Milliseconds, of any origin; must not go back. */
  readonly nowMs: () => number;
  /** When the process began, on the same clock. */
  readonly processStartMs: number;
  readonly signal: AbortSignal;
}

export interface BenchResult {
  readonly secondsPerIteration: { readonly median: number; readonly min: number; readonly max: number };
  /** Kernels and graphs that an iteration runs in TensorFlow (the median); null on a backend that is not native. */
  readonly opsPerIteration: number | null;
  /** Of the whole process since its start. */
  readonly peakRssBytes: number;
  /** After the warm-up, and after the last iteration. */
  readonly tensorsBefore: number;
  readonly tensorsAfter: number;
  /** From the start of the process to the end of its first iteration. */
  readonly firstStepSeconds: number;
  readonly iterations: number;
}

/**
 * Trains freshly initialised networks on noise. The backend must have been loaded.
 * @throws FedError NON_FINITE; CANCELLED when the signal fires
 */
export async function measureSteps(options: BenchOptions): Promise<BenchResult> {
  const { part, vocabulary, iterations, seed, nowMs, processStartMs, signal } = options;
  const config = part === 'image' ? imageOnly(options.config) : options.config;
  const words = syntheticWords(vocabulary);
  const model = new Emixer(config, new Vocabulary(part === 'image' ? [] : words), { run: seed, site: 0 });
  const data = syntheticData(config, part === 'image' ? [] : words, seed);
  const trainer = new AdversarialTrainer(model, data, { seed, site: 0 }, WARM_UP + iterations);
  const counter = countCalls();
  const seconds: number[] = [];
  const calls: number[] = [];
  let tensorsBefore = 0;
  let firstStepSeconds = 0;
  try {
    for (let step = 0; step < WARM_UP + iterations; step++) {
      if (signal.aborted) throw new FedError('CANCELLED', 'measuring was interrupted', 'run it again');
      if (step === WARM_UP) tensorsBefore = tf.memory().numTensors;
      const callsBefore = counter.calls ?? 0;
      const startMs = nowMs();
      await trainer.step(step);
      const endMs = nowMs();
      if (step === 0) firstStepSeconds = (endMs - processStartMs) / 1000;
      if (step < WARM_UP) continue;
      seconds.push((endMs - startMs) / 1000);
      calls.push((counter.calls ?? 0) - callsBefore);
    }
    return {
      secondsPerIteration: { median: median(seconds), min: Math.min(...seconds), max: Math.max(...seconds) },
      opsPerIteration: counter.calls === undefined ? null : median(calls),
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
      tensorsBefore,
      tensorsAfter: tf.memory().numTensors,
      firstStepSeconds,
      iterations,
    };
  } finally {
    counter.stop();
    trainer.dispose();
    model.dispose();
  }
}

/** The image half alone takes neither time nor memory for text: records without reports, and text networks of no size. */
const imageOnly = (config: ModelConfig): ModelConfig => ({
  ...config,
  labelledFraction: 1,
  unlabelled: 'masked',
  encoder: { growth: 4, blocks: [1, 1, 1, 1] },
  report: { ...config.report, hidden: 8, embedding: 8, wordLayers: 1 },
  reportDiscriminator: { ...config.reportDiscriminator, embedding: 8, hidden: 8 },
  jointDiscriminator: { ...config.jointDiscriminator, embedding: 8, hidden: 8, imageFeatures: 'pooled' },
});

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
