/** `emixer model train`: one training at one site, without a federation. */
import { relative, resolve } from 'node:path';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { loadEncoder, requireEncoderFile } from '#model/checkpoint/encoder-file.ts';
import { modelMetadata } from '#model/checkpoint/model-file.ts';
import { tensorsOf } from '#model/checkpoint/network-file.ts';
import { Emixer } from '#model/emixer/emixer.ts';
import { modelConfigOf, type RunConfig, runHash } from '#model/federated.ts';
import { marginalLabels } from '#model/generation/label-distribution.ts';
import { type CollapseLimits, collapseText } from '#model/monitoring/collapse.ts';
import { DiversityProbe } from '#model/monitoring/diversity.ts';
import { TrainingMonitor } from '#model/monitoring/training-monitor.ts';
import { Vocabulary } from '#model/text/vocabulary.ts';
import { runTraining, type TrainingOutcome } from '#model/training/engine.ts';
import { requireShares } from '#model/training/gradient-exchange.ts';
import { type StageSteps, TRAINING_STAGES } from '#model/training/stages.ts';
import { takeSnapshot } from '#model/training/state-file.ts';
import { FedError } from '#proto/errors.ts';
import { trainingView } from '#site-agent/data/training-view.ts';
import type { DataSource } from '../options.ts';
import type { Terminal } from '../terminal.ts';
import { sha256OfFile } from './generated-folder.ts';
import { shareOf } from './replica-share.ts';
import { Replicas } from './replicas.ts';
import { type LocalFacts, localFacts, preparedData } from './train-data.ts';
import { openTrainFolder, type TrainPaths, trainPaths } from './train-folder.ts';
import { localRun } from './train-plan.ts';
import { type SampleSource, standForSampling, writeSamples } from './train-samples.ts';

export interface TrainOptions {
  readonly data: readonly DataSource[];
  readonly preset: string;
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly out: string;
  readonly steps: StageSteps;
  readonly minutes: number | null;
  readonly seed: number;
  /** A file of `emixer model import-encoder`; null to begin with drawn weights. */
  readonly encoder: string | null;
  readonly minPatients: number;
  readonly stopAfter: number | null;
  /** Processes that share the adversarial steps out. */
  readonly replicas: number;
  readonly saveEvery: number;
  readonly samplesEvery: number;
  readonly limits: CollapseLimits;
  readonly stopOnCollapse: boolean;
}

export interface TrainResult {
  readonly out: string;
  readonly finished: boolean;
  readonly backend: string;
  readonly records: number;
  readonly vocabulary: number;
  /** Steps that are done, seconds, and the losses of the last step. */
  readonly stages: readonly {
    readonly stage: string;
    readonly steps: number;
    readonly seconds: number;
    readonly losses: Readonly<Record<string, number>>;
  }[];
  /** Null until the training is finished. */
  readonly model: { readonly path: string; readonly sha256: string } | null;
  readonly checkpoint: string;
  readonly metrics: string;
  readonly events: string;
  readonly samples: string;
  readonly warnings: readonly string[];
  readonly wallSeconds: number;
}

/**
 * Begins a training or goes on with the one that lies in `out`.
 * @throws FedError CANCELLED on Ctrl-C, when the checkpoint is written; NON_FINITE, TRAINING_COLLAPSED, and what
 *   configuration, data and checkpoint are refused with
 */
export async function trainModel(options: TrainOptions, terminal: Terminal): Promise<TrainResult> {
  const startedMs = terminal.now();
  const out = resolve(options.out);
  const paths = trainPaths(out);
  const run = localRun(options, options.steps);
  const config = modelConfigOf(run);
  const { overrides, preset, seed, replicas: count } = options;
  requireShares(config, count);
  // Before the folder is begun: it belongs to this file from then on.
  if (options.encoder !== null) await requireEncoderFile(options.encoder, config);
  const encoder = options.encoder === null ? null : await sha256OfFile(options.encoder);
  const data = options.data.map(({ kind, dir }) => ({ kind, dir: resolve(dir) }));
  const release = await openTrainFolder(out, { data, preset, overrides, seed, encoder });
  const say = (line: string): void => {
    terminal.stderr.write(`${line}\n`);
  };
  try {
    const wanted = backendOptionsFromEnvironment(terminal.env);
    const share = (rank: number) => shareOf(rank, count, wanted, terminal.env);
    const backend = await loadBackend(count === 1 ? wanted : { ...wanted, ...share(0) });
    say(`${backend.name} ${backend.version} on ${backend.device}`);
    const prepared = await preparedData({ sources: data, paths, config, seed, signal: terminal.signal, say });
    const set = trainingView(prepared, config);
    const facts = localFacts(set, run, config);
    const model = new Emixer(config, new Vocabulary(facts.vocabulary), { run: seed, site: 0 });
    if (options.encoder !== null) {
      await loadEncoder(options.encoder, model.encoder);
      say(`F's encoder has the weights of ${options.encoder}, SHA-256 ${encoder}`);
    }
    const keys = { seed, site: 0 };
    const source: SampleSource = { model, labels: marginalLabels(facts.statistics), seed };
    const probe = await DiversityProbe.create(model, set, seed);
    const monitor = new TrainingMonitor({
      eventsFolder: paths.events,
      metricsPath: paths.metrics,
      keptFolder: paths.kept,
      keys,
      limits: options.limits,
      stopOnCollapse: options.stopOnCollapse,
      samplesEvery: options.samplesEvery,
      drawSamples: ({ average, globalStep }) => writeSamples(source, average, probe, paths.samples, globalStep + 1),
      nowMs: terminal.now,
      say,
    });
    const replicas =
      count === 1
        ? undefined
        : await Replicas.create({
            run,
            keys,
            vocabulary: facts.vocabulary,
            preparedDir: paths.prepared,
            checkpoint: paths.checkpoint,
            model,
            replicas: count,
            out,
            backend: `${backend.name} ${backend.version}`,
            env: terminal.env,
            shareOf: share,
            nowMs: terminal.now,
            say,
          });
    try {
      const { steps, minutes, saveEvery, stopAfter } = options;
      const outcome = await runTraining({
        model,
        data: monitor.watched(set),
        keys,
        steps,
        minutes,
        emaDecay: run.emaDecay,
        checkpoint: paths.checkpoint,
        saveEvery,
        stopAfter,
        signal: terminal.signal,
        nowMs: terminal.now,
        observer: monitor,
        ...(replicas && { exchange: replicas.exchange, startReplicas: () => replicas.start() }),
      });
      const written = outcome.finished ? await writeModel(outcome, source, facts, paths, options, encoder) : null;
      outcome.average.dispose();
      const shown = resultOf(out, paths, outcome, written);
      if (!outcome.finished && terminal.signal.aborted) throw interrupted(outcome);
      return {
        ...shown,
        backend: `${backend.name} ${backend.version}`,
        records: set.records.length,
        vocabulary: facts.vocabulary.length,
        warnings: monitor.warnings.map(collapseText),
        wallSeconds: Number(((terminal.now() - startedMs) / 1000).toFixed(2)),
      };
    } finally {
      await replicas?.end();
      await monitor.close();
      model.dispose();
    }
  } finally {
    release();
  }
}

/** The averaged weights with standing statistics, in the form of what a run releases: the same seed, the same bytes. */
async function writeModel(
  { average, progress }: TrainingOutcome,
  source: SampleSource,
  facts: LocalFacts,
  paths: TrainPaths,
  options: TrainOptions,
  encoder: string | null,
): Promise<{ path: string; sha256: string }> {
  const run = localRun(options, progress.steps);
  await average.during(() => {
    standForSampling(source);
    const metadata = {
      run_id: runIdOf(run),
      run_sha256: runHash(run).toString('hex'),
      ...modelMetadata(run, facts.vocabulary, facts.statistics),
      ...(encoder === null ? {} : { encoder_sha256: encoder }),
    };
    return takeSnapshot(tensorsOf(source.model.shared), metadata).write(paths.model);
  });
  return { path: paths.model, sha256: await sha256OfFile(paths.model) };
}

const runIdOf = (run: RunConfig): string => `local-${runHash(run).toString('hex').slice(0, 12)}`;

function resultOf(out: string, paths: TrainPaths, outcome: TrainingOutcome, model: TrainResult['model']) {
  const { finished, progress } = outcome;
  const reached = TRAINING_STAGES.slice(0, TRAINING_STAGES.indexOf(progress.stage) + 1);
  return {
    out,
    finished,
    stages: reached.map(stage => ({
      stage,
      steps: stage === progress.stage ? progress.step : (progress.done[stage] ?? 0),
      seconds: Number(progress.times.seconds[stage].toFixed(2)),
      losses: progress.losses[stage] ?? {},
    })),
    model,
    checkpoint: paths.checkpoint,
    metrics: paths.metrics,
    events: paths.events,
    samples: paths.samples,
  };
}

const interrupted = ({ progress }: TrainingOutcome): FedError =>
  new FedError(
    'CANCELLED',
    `interrupted after ${progress.step} steps of ${progress.stage}; the checkpoint is written`,
    'the same command goes on from there',
  );

export function trainText({ out, stages, model, warnings, wallSeconds }: TrainResult): string {
  const lines = stages.map(({ stage, steps, seconds }) => `${stage}: ${steps} steps, ${seconds} s`);
  const end =
    model === null
      ? `stopped; the same command goes on (${wallSeconds} s)`
      : `model: ${relative('.', model.path)}, SHA-256 ${model.sha256} (${wallSeconds} s)`;
  const watch = `curves: tensorboard --logdir ${relative('.', out) || '.'}`;
  return [...lines, ...warnings.map(text => `warning: ${text}`), end, watch].join('\n');
}
