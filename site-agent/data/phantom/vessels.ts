/** Vessels of the lungs: trees that branch outwards from the hila, thinner and fainter towards the edge. */
import { Random } from '#model/random.ts';
import { FIELD_SIZE, newField, type Point, strokeMax } from './field.ts';
import type { Chest } from './thorax.ts';

export interface VesselOptions {
  /** 1 normal; above it congested: wider, denser, further out. */
  readonly strength: number;
  /** 1 normal; towards 0 the upper lobes stay empty. */
  readonly upper: number;
}

/** Adds the vessels to `chest.attenuation`, only where there is air. The same `shape` grows the same tree. */
export function drawVessels(chest: Chest, shape: number, { strength, upper }: VesselOptions): void {
  const random = new Random('phantom vessels', shape);
  const layer = newField();
  const { apex } = chest.anatomy;
  const hilum = apex + 0.4 * (chest.base - apex);
  for (const sign of [-1, 1]) {
    for (let k = 0; k < 15; k++) {
      // Angle from straight up; most vessels run downwards and outwards.
      const angle = 0.35 + (2.35 * (k + random.uniform())) / 15;
      const up = angle < 1.2;
      const length = (up ? 0.32 : 0.46) * (0.8 + 0.4 * random.uniform());
      const from: Point = [sign * 0.17, hilum + 0.05 * (random.uniform() - 0.3)];
      grow(layer, random, from, sign, angle, length, (up ? upper : 1) * (0.8 + 0.3 * strength), 0);
    }
  }
  const gain = 0.075 * chest.anatomy.vesselDensity * strength;
  for (let index = 0; index < FIELD_SIZE * FIELD_SIZE; index++) {
    const open = chest.air[index] as number;
    if (open > 0)
      chest.attenuation[index] = (chest.attenuation[index] as number) + gain * open * (layer[index] as number);
  }
}

function grow(
  layer: Float32Array,
  random: Random,
  from: Point,
  sign: number,
  angle: number,
  length: number,
  weight: number,
  depth: number,
): void {
  const points: Point[] = [from];
  let heading = angle;
  let [x, y] = from;
  const steps = 6;
  for (let k = 0; k < steps; k++) {
    heading += 0.16 * random.normal();
    x += (sign * Math.sin(heading) * length) / steps;
    y -= (Math.cos(heading) * length) / steps / 2;
    points.push([x, y]);
    if (depth < 2 && k >= 1 && random.uniform() < 0.42) {
      const turn = (random.uniform() < 0.5 ? -1 : 1) * (0.35 + 0.4 * random.uniform());
      grow(layer, random, [x, y], sign, heading + turn, length * 0.5, weight * 0.7, depth + 1);
    }
  }
  const half = 1.9 * weight * 0.75 ** depth;
  strokeMax(layer, points, { from: half, to: 0.55, strengthFrom: weight, strengthTo: 0.25 * weight });
}
