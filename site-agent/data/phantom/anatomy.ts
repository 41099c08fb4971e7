/** A phantom patient's body, which stays over the studies, and what differs from one exposure to the next. */
import type { Random } from '#model/random.ts';
import { clamp } from './field.ts';

/** Lengths in field units (x: 1 = half the picture, y: 1 = the whole). */
export interface Anatomy {
  /** Half width of the rib cage at its widest. */
  readonly width: number;
  readonly apex: number;
  /** Lowest point of the lungs, at the costophrenic angles. */
  readonly base: number;
  /** Soft tissue outside the ribs. */
  readonly wall: number;
  /** Overall attenuation: a large patient is a grey film. */
  readonly bulk: number;
  readonly breasts: number;
  readonly heartWidth: number;
  readonly heartTilt: number;
  readonly aorta: number;
  readonly domeHeight: number;
  readonly ribSpacing: number;
  readonly ribDrop: number;
  readonly ribStrength: number;
  readonly ribHalfWidth: number;
  readonly clavicleTilt: number;
  readonly shoulderSlope: number;
  readonly mediastinum: number;
  readonly vesselDensity: number;
  readonly bubble: boolean;
  /** Seeds the vessel tree and the like. */
  readonly shape: number;
}

export interface Exposure {
  readonly view: 'PA' | 'AP';
  /** -1 poor, 1 deep. */
  readonly inspiration: number;
  readonly angle: number;
  readonly scale: number;
  readonly shift: readonly [number, number];
  readonly kilovolt: number;
  readonly gamma: number;
  readonly brightness: number;
  readonly noiseStd: number;
  readonly seed: number;
}

const between = (random: Random, low: number, high: number) => low + (high - low) * random.uniform();
/** Normal about `mean`, cut off at two standard deviations: bodies vary, but not without bounds. */
const about = (random: Random, mean: number, std: number) => mean + std * clamp(random.normal(), -2, 2);

export function drawAnatomy(random: Random): Anatomy {
  const bulk = about(random, 1, 0.1);
  return {
    width: about(random, 0.77, 0.04),
    apex: about(random, 0.11, 0.015),
    base: about(random, 0.835, 0.025),
    wall: 0.12 + 0.5 * Math.max(0, bulk - 0.9),
    bulk,
    breasts: random.uniform() < 0.5 ? between(random, 0.3, 1) : 0,
    heartWidth: about(random, 0.44, 0.025),
    heartTilt: about(random, 0.45, 0.12),
    aorta: between(random, 0.4, 1.2),
    domeHeight: about(random, 0.115, 0.018),
    ribSpacing: about(random, 0.072, 0.004),
    ribDrop: about(random, 1, 0.18),
    ribStrength: about(random, 1, 0.18),
    ribHalfWidth: about(random, 3.1, 0.35),
    clavicleTilt: about(random, 0, 0.03),
    shoulderSlope: about(random, 0.12, 0.03),
    mediastinum: about(random, 1, 0.12),
    vesselDensity: about(random, 1, 0.15),
    bubble: random.uniform() < 0.55,
    shape: random.uint32(),
  };
}

export function drawExposure(random: Random, view: 'PA' | 'AP'): Exposure {
  const portable = view === 'AP';
  return {
    view,
    inspiration: clamp(about(random, portable ? -0.5 : 0.2, 0.35), -1, 1),
    angle: about(random, 0, portable ? 0.035 : 0.018),
    scale: about(random, 1.02, 0.03),
    shift: [about(random, 0, 0.025), about(random, 0, 0.012)],
    kilovolt: about(random, portable ? 1.02 : 1, 0.07),
    gamma: about(random, 1.3, 0.12),
    brightness: about(random, 0, 0.025),
    noiseStd: between(random, 1.5, portable ? 4.5 : 3.5),
    seed: random.uint32(),
  };
}
