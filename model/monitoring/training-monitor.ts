/** Looks on while a training runs: writes what it sees, warns of a collapse, and keeps the step that went wrong. */
import { FedError } from '#proto/errors.ts';
import type { BatchUse, TrainingData } from '../training/dataset.ts';
import type { StepContext, StepResult, TrainingObserver, TrainingProgress } from '../training/engine.ts';
import type { TrainingStage } from '../training/stages.ts';
import type { StreamKeys } from '../training/trainer.ts';
import { CollapseDetector, type CollapseLimits, type CollapseWarning, collapseText } from './collapse.ts';
import { EventFile } from './event-file.ts';
import type { EventImage } from './event-proto.ts';
import { explained, type KeptStep, writeKeptStep } from './kept-step.ts';
import { MetricsFile } from './metrics-file.ts';
import { spectralNormsOf } from './spectral-norms.ts';

/** Steps between two looks at the spectral norms, which are computed for it. */
const SPECTRAL_EVERY = 50;
/** Steps whose losses are kept with a step that went wrong. */
const HISTORY_STEPS = 100;

export interface Samples {
  /** Mean distance of generated images over that of real ones. */
  readonly diversity: number;
  /** Null where there is no F to write any. */
  readonly reports: readonly string[] | null;
  readonly sheet: EventImage;
  /** Markdown, for TensorBoard's text page. */
  readonly text: string;
}

export interface MonitorOptions {
  readonly eventsFolder: string;
  readonly metricsPath: string;
  readonly keptFolder: string;
  readonly keys: StreamKeys;
  readonly limits: CollapseLimits;
  readonly stopOnCollapse: boolean;
  /** Adversarial steps between two sheets of samples. */
  readonly samplesEvery: number;
  readonly drawSamples: (result: StepResult) => Promise<Samples>;
  readonly nowMs: () => number;
  readonly say: (line: string) => void;
}

export class TrainingMonitor implements TrainingObserver {
  readonly warnings: CollapseWarning[] = [];
  readonly #options: MonitorOptions;
  readonly #collapse: CollapseDetector;
  #events: EventFile | undefined;
  #metrics: MetricsFile | undefined;
  #batches: BatchUse[] = [];
  #history: KeptStep['history'][number][] = [];

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#collapse = new CollapseDetector(options.limits);
  }

  /** The data as the trainers are to see them, so that the monitor knows which records a step took. */
  watched(data: TrainingData): TrainingData {
    return { ...data, onBatch: use => this.#batches.push(use) };
  }

  async onStart({ globalStep, stage, step }: TrainingProgress, resumed: boolean): Promise<void> {
    const { eventsFolder, metricsPath, nowMs, say } = this.#options;
    this.#events = await EventFile.create(eventsFolder, nowMs, resumed ? globalStep + 1 : undefined);
    this.#metrics = await MetricsFile.open(metricsPath, globalStep);
    if (resumed) say(`going on after ${step} steps of ${stage}, ${globalStep} in all`);
  }

  onStage(stage: TrainingStage, step: number, steps: number | null, records: number): void {
    const from = step > 0 ? `, from step ${step}` : '';
    const length = steps === null ? 'as many steps as there is time for' : `${steps} steps`;
    this.#options.say(
      records === 0
        ? `${stage} is left out: no record has what it needs`
        : `${stage}: ${length} on ${records} records${from}`,
    );
  }

  onEstimate(stage: TrainingStage, steps: number): void {
    this.#options.say(`${stage}: by the time of its first steps there is time for ${steps}; the checkpoint keeps that`);
  }

  onSaved(globalStep: number): void {
    this.#options.say(`checkpoint of step ${globalStep} written`);
  }

  async afterStep(result: StepResult): Promise<void> {
    const { stage, step, globalStep, trainer, losses, seconds, steps } = result;
    const done = globalStep + 1;
    const { gradientNorms } = trainer;
    this.#history = [...this.#history.slice(1 - HISTORY_STEPS), { globalStep, losses, gradientNorms }];
    const spectral = step % SPECTRAL_EVERY === 0 ? spectralNorms(result) : {};
    const line = { stage, step: step + 1, globalStep: done, seconds, losses, gradientNorms };
    this.#metrics?.add(Object.keys(spectral).length === 0 ? line : { ...line, spectralNorms: spectral });
    this.#events?.add(done, {
      scalars: {
        ...prefixed('loss', losses),
        ...prefixed('gradient', gradientNorms),
        ...prefixed('spectral', spectral),
        'time/stepSeconds': seconds,
      },
    });
    if (stage === 'adversarial') {
      this.#warn(done, this.#collapse.afterStep(step + 1, losses['D_image/adversarial']));
      if ((step + 1) % this.#options.samplesEvery === 0 || step + 1 === steps) await this.#sample(result);
    }
    this.#batches = [];
  }

  async onFailure(context: StepContext, error: FedError, checkpointStep: number | null): Promise<FedError> {
    const { stage, step, globalStep } = context;
    const kept: KeptStep = {
      stage,
      step,
      globalStep,
      ...this.#options.keys,
      code: error.code,
      message: error.message,
      checkpointStep,
      batches: this.#batches,
      history: this.#history,
      spectralNorms: context.trainer.networks.flatMap(spectralNormsOf),
    };
    return explained(error, kept, await writeKeptStep(this.#options.keptFolder, kept));
  }

  async close(): Promise<void> {
    await this.#events?.close();
    await this.#metrics?.close();
  }

  async #sample(result: StepResult): Promise<void> {
    const { diversity, reports, sheet, text } = await this.#options.drawSamples(result);
    const distinct = reports && new Set(reports).size;
    const figures = { 'collapse/diversity': diversity, ...(distinct === null ? {} : { 'collapse/reports': distinct }) };
    const done = result.globalStep + 1;
    this.#events?.add(done, { scalars: figures, images: { samples: sheet }, texts: { reports: text } });
    this.#metrics?.add({ globalStep: done, samples: figures });
    this.#warn(done, this.#collapse.afterSamples(result.step + 1, diversity, reports));
  }

  #warn(globalStep: number, warnings: readonly CollapseWarning[]): void {
    for (const warning of warnings) {
      const text = collapseText(warning);
      this.warnings.push(warning);
      this.#events?.add(globalStep, { texts: { warnings: text } });
      this.#metrics?.add({ globalStep, warning });
      this.#options.say(`warning: ${text}`);
      if (this.#options.stopOnCollapse) throw new FedError('TRAINING_COLLAPSED', text);
    }
  }
}

const prefixed = (prefix: string, values: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}/${name}`, value]));

const spectralNorms = ({ trainer }: StepContext): Record<string, number> =>
  Object.fromEntries(trainer.networks.flatMap(spectralNormsOf).map(({ name, sigma }) => [name, sigma]));
