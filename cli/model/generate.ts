/** `emixer model generate`: any number of pairs from a model file, at constant memory. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { type ModelFile, openModelFile } from '#model/checkpoint/model-file.ts';
import { generatePairs } from '#model/generation/generate-pairs.ts';
import { disposeGenerators, loadGenerators } from '#model/generation/load-generators.ts';
import { LABELS } from '#model/labels.ts';
import { FedError } from '#proto/errors.ts';
import { finishFolder, GALLERY, MANIFEST, sha256OfFile, writePairs } from './generated-folder.ts';
import { type GenerationIdentity, GenerationJournal, type WrittenPair } from './generation-journal.ts';
import { type LabelPlan, planLabels } from './label-spec.ts';

export interface GenerateOptions {
  readonly model: string;
  readonly count: number;
  readonly labels: string;
  /** Pairs at once; by default the fastest for the model's resolution. */
  readonly batch: number | undefined;
  readonly seed: number;
  readonly out: string;
}

export interface GenerateResult {
  readonly out: string;
  readonly pairs: number;
  /** Of them, those that an interrupted generation had left. */
  readonly resumed: number;
  readonly seed: number;
  readonly batch: number;
  readonly labels: string;
  readonly model: { readonly path: string; readonly sha256: string };
  readonly manifest: string;
  readonly gallery: string;
}

export interface GenerateSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly onProgress: (line: string) => void;
}

/** Larger batches gain nothing more, and need memory in proportion. */
const FASTEST_BATCH: Readonly<Record<ModelFile['config']['resolution'], number>> = { 32: 128, 64: 64, 128: 32 };

/**
 * The same model, seed, count, batch and labels give the same files, interrupted or not.
 * @throws FedError NOT_FOUND | FILE_CORRUPT on the model; USAGE | DATA_INVALID on labels or folder; CANCELLED
 */
export async function generateFolder(
  options: GenerateOptions,
  surroundings: GenerateSurroundings,
): Promise<GenerateResult> {
  const { count, seed, out } = options;
  const model = await openModelFile(options.model);
  try {
    const { config, labelTotals } = model;
    if (config.labels !== LABELS.length) {
      const message = `${options.model} knows ${config.labels} labels; the layout has CheXpert's ${LABELS.length}`;
      throw new FedError('DATA_INVALID', message, 'use a model that a run made');
    }
    const plan = await planLabels(options.labels, count, labelTotals, seed);
    const modelSha256 = await sha256OfFile(options.model);
    const batch = Math.min(options.batch ?? FASTEST_BATCH[config.resolution], count);
    const identity = { model: modelSha256, seed, count, batch, labels: plan.description };
    await mkdir(out, { recursive: true });
    const journal = await GenerationJournal.open(out, identity);
    if (journal.done > 0) surroundings.onProgress(`${journal.done} of ${count} pairs are there already: going on`);
    if (journal.done < count) await generateRest(model, plan, identity, journal, out, surroundings);
    await finishFolder(out, journal, identity, config);
    return {
      out,
      pairs: count,
      resumed: journal.done,
      seed,
      batch,
      labels: plan.description,
      model: { path: options.model, sha256: modelSha256 },
      manifest: join(out, MANIFEST),
      gallery: join(out, GALLERY),
    };
  } finally {
    await model.file.close();
  }
}

async function generateRest(
  model: ModelFile,
  plan: LabelPlan,
  { seed, count, batch: batchSize }: GenerationIdentity,
  journal: GenerationJournal,
  out: string,
  { env, signal, onProgress }: GenerateSurroundings,
): Promise<void> {
  await loadBackend(backendOptionsFromEnvironment(env));
  const generators = await loadGenerators(model);
  // The files of one batch are written while the next is computed, and no more than that waits in memory.
  let writing: Promise<void> = Promise.resolve();
  const store = async (pairs: Promise<WrittenPair[]>): Promise<void> => journal.append(await pairs);
  try {
    let done = journal.done;
    const labels = plan.startingAt(done);
    for (const batch of generatePairs(generators, { count, from: done, batchSize, labels, seed })) {
      await writing;
      if (signal.aborted) {
        throw new FedError(
          'CANCELLED',
          `interrupted after ${done} of ${count} pairs`,
          'the same command goes on there',
        );
      }
      writing = store(writePairs(out, seed, done, batch, model.config));
      // It is awaited later, and must not count as unhandled until then.
      writing.catch(() => {});
      done += batch.reports.length;
      onProgress(`${done} of ${count} pairs`);
    }
    await writing;
  } finally {
    await writing.catch(() => {});
    disposeGenerators(generators);
  }
}
