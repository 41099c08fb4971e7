/** What the demo's options mean for a run: a configuration that learns something in minutes on two cores. */
import { parseRunConfig, type RunConfig } from '#model/federated.ts';

export interface DemoSettings {
  readonly sites: number;
  readonly rounds: number;
  readonly steps: number;
  readonly preset: string;
  readonly seed: number;
}

/** Below this many steps a round the demo is a smoke test: pre-training and evaluation shrink with it. */
const SMOKE_STEPS = 5;

const siteName = (index: number): string => `hospital-${index + 1}`;

/** @throws FedError CONFIG_INVALID on an unknown preset */
export function demoRunConfig({ sites, rounds, steps, preset, seed }: DemoSettings): RunConfig {
  const smoke = steps < SMOKE_STEPS;
  return parseRunConfig(
    {
      name: 'demo',
      preset,
      seed,
      sites: Array.from({ length: sites }, (_, index) => siteName(index)),
      vocabulary: { minSites: Math.min(2, sites) },
      encoderPretraining: { rounds: 1, steps: smoke ? steps : 60 },
      reportPretraining: { rounds: 1, steps: smoke ? steps : 60 },
      adversarial: { rounds, steps },
      // The presets' 0.9999 remembers 10,000 steps; the demo takes tens, and would release its initial weights.
      emaDecay: 0.95,
      evaluationImages: smoke ? 64 : 600,
      pairs: smoke ? 64 : 600,
    },
    'demo',
  );
}
