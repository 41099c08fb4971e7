/** How much of a run is done, and so how much time is left. */
import type { Notice } from '#coordinator/notices.ts';
import { localSteps } from '#coordinator/rounds/steps.ts';
import { type RunConfig, STAGES, type StageName } from '#model/federated.ts';

/** Rough costs of one local step, in encoder steps: only their ratios matter, and only until the stage is over. */
const STEP_COST: Readonly<Record<StageName, number>> = {
  statistics: 0,
  'encoder-pretraining': 1,
  'report-pretraining': 1.5,
  adversarial: 6,
  generation: 0,
  audit: 0,
};
/** Evaluations, generation and audit, in the same unit. */
const OTHER_COST = 60;

export class WorkEstimate {
  readonly #config: RunConfig;
  readonly #now: () => number;
  readonly #totalCost: number;
  readonly #closed = new Map<string, number>();
  readonly #open = new Map<string, number>();
  #startedMs: number | undefined;

  constructor(config: RunConfig, now: () => number) {
    this.#config = config;
    this.#now = now;
    const training = STAGES.reduce(
      (sum, stage) => sum + roundsOf(config, stage) * localSteps(config, stage) * STEP_COST[stage],
      0,
    );
    this.#totalCost = training + (config.adversarial.rounds + 2) * OTHER_COST;
  }

  add(notice: Notice): void {
    this.#startedMs ??= this.#now();
    if (notice.event === 'progress') {
      // The slowest site decides; close to it, the mean is good enough for an estimate.
      const cost = (notice.kind === 'train' ? this.#costOf(notice.stage) : OTHER_COST) / this.#config.sites.length;
      this.#open.set(notice.site, cost * Math.min(1, notice.step / Math.max(1, notice.steps)));
    }
    if (notice.event === 'step-closed') {
      const cost = notice.kind === 'train' ? this.#costOf(notice.stage) : notice.kind === 'statistics' ? 0 : OTHER_COST;
      this.#closed.set(`${notice.stage} ${notice.round} ${notice.kind}`, cost);
      this.#open.clear();
    }
  }

  /** 0 to 1. */
  fraction(): number {
    const done = [...this.#closed.values(), ...this.#open.values()].reduce((sum, cost) => sum + cost, 0);
    return Math.min(1, done / this.#totalCost);
  }

  /** "about 2 min left", or nothing while too little is known. */
  text(): string {
    const fraction = this.fraction();
    if (this.#startedMs === undefined || fraction < 0.02) return '';
    const leftSeconds = ((this.#now() - this.#startedMs) / 1000) * (1 / fraction - 1);
    return leftSeconds < 90
      ? `about ${Math.ceil(leftSeconds / 5) * 5} s left`
      : `about ${Math.ceil(leftSeconds / 60)} min left`;
  }

  #costOf(stage: StageName): number {
    return localSteps(this.#config, stage) * STEP_COST[stage];
  }
}

function roundsOf(config: RunConfig, stage: StageName): number {
  if (stage === 'encoder-pretraining') return config.encoderPretraining.rounds;
  if (stage === 'report-pretraining') return config.reportPretraining.rounds;
  return stage === 'adversarial' ? config.adversarial.rounds : 0;
}
