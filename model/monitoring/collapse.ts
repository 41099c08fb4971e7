/** Signs that a GAN has collapsed, as pure functions of figures: what to measure, and when to say so. */

export interface CollapseLimits {
  /** Generated images lie at least this share of the real images' mean distance apart. */
  readonly diversityShare: number;
  /** D_image has won when its adversarial loss stays at or below this... */
  readonly discriminatorFloor: number;
  /** ...for this many steps without a break. */
  readonly floorSteps: number;
  /** Fewer different reports than this among those of one sample sheet. */
  readonly distinctReports: number;
  /** An untrained G makes one grey image for every z: adversarial steps in which only a fall counts, not a low start. */
  readonly warmUpSteps: number;
}

export const DEFAULT_LIMITS: CollapseLimits = {
  diversityShare: 0.2,
  discriminatorFloor: 0.01,
  floorSteps: 100,
  distinctReports: 3,
  warmUpSteps: 500,
};

export interface CollapseWarning {
  readonly kind: 'images-alike' | 'discriminator-won' | 'reports-alike';
  /** Adversarial step. */
  readonly step: number;
  /** What was measured, e.g. 0.04. */
  readonly value: number;
  /** What it should not fall below (or stay at). */
  readonly limit: number;
}

/** Mean Euclidean distance between all pairs of the rows of `values`, row-major; 0 for fewer than two rows. */
export function meanPairwiseDistance(values: ArrayLike<number>, rows: number): number {
  if (rows < 2) return 0;
  const width = values.length / rows;
  let sum = 0;
  for (let a = 0; a < rows; a++) {
    for (let b = a + 1; b < rows; b++) {
      let squares = 0;
      for (let i = 0; i < width; i++) squares += ((values[a * width + i] ?? 0) - (values[b * width + i] ?? 0)) ** 2;
      sum += Math.sqrt(squares);
    }
  }
  return sum / ((rows * (rows - 1)) / 2);
}

/** Warns once when a figure that was at its limit or above falls below it, and again only after it has recovered. */
export class FallDetector {
  readonly #limit: number;
  readonly #warmUpSteps: number;
  #state: 'low at the start' | 'fine' | 'warned' = 'low at the start';

  constructor(limit: number, warmUpSteps: number) {
    this.#limit = limit;
    this.#warmUpSteps = warmUpSteps;
  }

  /** Whether this value, at this step, is worth a warning. */
  falls(step: number, value: number): boolean {
    if (value >= this.#limit) {
      this.#state = 'fine';
      return false;
    }
    if (this.#state === 'warned' || (this.#state === 'low at the start' && step < this.#warmUpSteps)) return false;
    this.#state = 'warned';
    return true;
  }
}

/** Warns once when a loss has been at or below its floor for so many steps without a break. */
export class FloorDetector {
  readonly #floor: number;
  readonly #steps: number;
  #run = 0;

  constructor(floor: number, steps: number) {
    this.#floor = floor;
    this.#steps = steps;
  }

  reached(loss: number): boolean {
    this.#run = loss <= this.#floor ? this.#run + 1 : 0;
    return this.#run === this.#steps;
  }
}

/** The three detectors of one training. */
export class CollapseDetector {
  readonly #limits: CollapseLimits;
  readonly #images: FallDetector;
  readonly #reports: FallDetector;
  readonly #discriminator: FloorDetector;

  constructor(limits: CollapseLimits) {
    this.#limits = limits;
    this.#images = new FallDetector(limits.diversityShare, limits.warmUpSteps);
    this.#reports = new FallDetector(limits.distinctReports, limits.warmUpSteps);
    this.#discriminator = new FloorDetector(limits.discriminatorFloor, limits.floorSteps);
  }

  /** @param loss D_image's adversarial loss of this step, where it has one */
  afterStep(step: number, loss: number | undefined): CollapseWarning[] {
    if (loss === undefined || !this.#discriminator.reached(loss)) return [];
    return [{ kind: 'discriminator-won', step, value: loss, limit: this.#limits.discriminatorFloor }];
  }

  /**
   * @param share mean distance of generated images over that of real ones
   * @param reports F's reports for one sheet of samples; null where there is no F to write any
   */
  afterSamples(step: number, share: number, reports: readonly string[] | null): CollapseWarning[] {
    const warnings: CollapseWarning[] = [];
    if (this.#images.falls(step, share)) {
      warnings.push({ kind: 'images-alike', step, value: share, limit: this.#limits.diversityShare });
    }
    const distinct = reports && new Set(reports).size;
    if (distinct !== null && this.#reports.falls(step, distinct)) {
      warnings.push({ kind: 'reports-alike', step, value: distinct, limit: this.#limits.distinctReports });
    }
    return warnings;
  }
}

/** The warning as a sentence with its figures. */
export function collapseText({ kind, step, value, limit }: CollapseWarning): string {
  const at = `at adversarial step ${step}`;
  switch (kind) {
    case 'images-alike':
      return `${at} generated images lie ${value.toFixed(3)} times as far apart as real ones; expected at least ${limit}`;
    case 'discriminator-won':
      return `${at} D_image's loss has stayed at its floor (${value.toFixed(4)}, floor ${limit}): G gets no gradient from it`;
    case 'reports-alike':
      return `${at} F wrote ${value} different reports for a sheet of samples; expected at least ${limit}`;
  }
}
