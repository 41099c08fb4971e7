/** What every stage of training at a site has in common. */
import type { ParameterSet } from '../layers/parameters.ts';
import type { Adam } from '../optimiser/adam.ts';

export interface Trainer {
  /** Records that each weight group is trained on here: its weight in the average. */
  readonly records: Readonly<Record<string, number>>;
  /** By name; their state is part of the site's checkpoint. */
  readonly optimisers: Readonly<Record<string, Adam>>;
  /** L2 norm of each optimiser's gradient in the last step; it stays at the site. */
  readonly gradientNorms: Readonly<Record<string, number>>;
  /** The networks this stage moves or keeps state in. */
  readonly networks: readonly ParameterSet[];
  /**
   * Step number `step`, counted over all rounds of the stage: everything random in it depends on that number alone.
   * @returns losses by name
   * @throws FedError NON_FINITE
   */
  step(step: number): Promise<Record<string, number>>;
  /** Frees the optimisers; the networks are the caller's. */
  dispose(): void;
}

/** Identifies the random streams of one site in one stage. */
export interface StreamKeys {
  readonly seed: number;
  readonly site: number;
}
