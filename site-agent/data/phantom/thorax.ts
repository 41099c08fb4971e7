/** Soft tissue of a phantom: body outline, lungs under their diaphragm, mediastinum and heart, as attenuation. */
import type { Anatomy, Exposure } from './anatomy.ts';
import { addEllipse, clamp, FIELD_SIZE, type Field, newField, ramp, xOf, yOf } from './field.ts';

/** What findings change in the shape of the chest. */
export interface ChestShape {
  /** Added to the heart's half width. */
  readonly heartGrowth: number;
  /** By side [right, left]: how far up the dome is pulled. */
  readonly domeRise: readonly [right: number, left: number];
}

export interface Chest {
  readonly anatomy: Anatomy;
  /** Share of air along the ray, [FIELD_SIZE, FIELD_SIZE]: 1 in the open lung. */
  readonly air: Field;
  readonly attenuation: Field;
  /** Coverage of the body's outline: bones do not stick out of it. */
  readonly body: Field;
  readonly base: number;
  /** Outer edge of the lungs (|x|) at a height. */
  readonly outerAt: (y: number) => number;
  /** Height of the diaphragm at x. */
  readonly domeAt: (x: number) => number;
}

/** Lung before and behind the spine and the heart, as a share of the open lung's chord. */
const BEHIND = 0.3;

export function drawThorax(anatomy: Anatomy, exposure: Exposure, shape: ChestShape): Chest {
  const base = anatomy.base + 0.03 * exposure.inspiration;
  const { apex, width } = anatomy;
  const portable = exposure.view === 'AP';

  const depthOf = (y: number) => clamp((y - apex) / (base - apex), 0, 1);
  const outerEdge = Float32Array.from({ length: 2 * FIELD_SIZE }, (_, k) => {
    const v = depthOf(k / (2 * FIELD_SIZE));
    return width * (0.4 + 0.6 * (1 - (1 - v) ** 2.6) ** 0.75 - 0.04 * ramp(0.7, 1, v));
  });
  const outerAt = (y: number) => outerEdge[clamp((y * 2 * FIELD_SIZE) | 0, 0, outerEdge.length - 1)] as number;
  const innerAt = (y: number) => {
    const v = depthOf(y);
    return width * (0.13 + 0.17 * Math.max(0, 1 - v / 0.22) ** 1.5);
  };
  const domeAt = (x: number) => {
    const side = x < 0 ? 0 : 1;
    const height = anatomy.domeHeight + shape.domeRise[side] + (side === 0 ? 0.012 : -0.008);
    const away = (Math.abs(x) - 0.42 * width) / (0.53 * width);
    return base - height * (1 - Math.min(1.15, away * away));
  };

  const air = newField();
  const attenuation = newField();
  const body = newField();
  const domes = Float32Array.from({ length: FIELD_SIZE }, (_, column) => domeAt(xOf(column)));
  const shoulders = Float32Array.from({ length: FIELD_SIZE }, (_, column) => {
    const x = Math.abs(xOf(column));
    return 0.01 + anatomy.shoulderSlope * Math.max(0, (x - 0.24) / 0.76) ** 1.15 - ramp(0.3, 0.2, x) * 0.15;
  });
  for (let row = 0; row < FIELD_SIZE; row++) {
    const y = yOf(row);
    const outer = outerAt(y);
    const inner = innerAt(y);
    const top = ramp(apex - 0.008, apex + 0.035, y);
    // Above the armpits shoulders and arms fill the film.
    const half = 1.4 + (width + anatomy.wall - 1.4) * ramp(0.27, 0.5, y) + 0.05 * ramp(0.6, 1, y);
    for (let column = 0; column < FIELD_SIZE; column++) {
      const x = Math.abs(xOf(column));
      const dome = domes[column] as number;
      const shoulder = shoulders[column] as number;
      const inside = ramp(half + 0.015, half - 0.03, x) * ramp(shoulder - 0.008, shoulder + 0.03, y);
      const across = x / half;
      let tissue = anatomy.bulk * (0.42 + 0.68 * Math.sqrt(Math.max(0, 1 - across * across))) * inside;
      const below = ramp(dome - 0.006, dome + 0.05, y) * ramp(half, half - 0.15, x);
      tissue += 0.34 * below;
      const above = top * ramp(outer + 0.012, outer - 0.035, x) * ramp(dome + 0.006, dome - 0.01, y);
      const open = above * ramp(inner - 0.03, inner + 0.03, x);
      // The chord through the lung is longest at a third of its width and short at its edges.
      const chord = 0.62 + 0.38 * ramp(outer, outer - 0.28, x);
      air[row * FIELD_SIZE + column] = open;
      body[row * FIELD_SIZE + column] = inside;
      attenuation[row * FIELD_SIZE + column] = tissue * (1 - 0.74 * Math.max(open * chord, BEHIND * above));
    }
  }
  const chest: Chest = { anatomy, air, attenuation, body, base, outerAt, domeAt };
  drawCentre(chest, shape.heartGrowth + (portable ? 0.03 : 0));
  drawSoftParts(chest);
  return chest;
}

/**
 * Mediastinum, great vessels, hila and heart. They are one shadow: coverages are joined, not summed, or the middle of
 * the film would burn out. The heart's full width is about 2 (heartWidth + growth) of the chest's half width, so that
 * the cardiothoracic ratio is heartWidth + growth.
 */
function drawCentre(chest: Chest, growth: number): void {
  const { anatomy, attenuation, base, domeAt } = chest;
  const { apex, mediastinum: scale } = anatomy;
  const carina = apex + 0.37 * (base - apex);
  const layer = newField();
  const size = (anatomy.heartWidth + growth) * anatomy.width;
  const floor = domeAt(0.2);
  const middle = floor - 0.075 - 0.14 * growth;
  const tall = 0.125 + 0.2 * growth;
  addEllipse(layer, [0.42 * size, middle], [0.92 * size, tall * 0.92], 0.85, {
    tilt: anatomy.heartTilt,
    softness: 0.13,
  });
  addEllipse(layer, [-0.22 * size, middle - 0.01], [0.46 * size, tall * 1.05], 0.85, { softness: 0.2 });
  addEllipse(layer, [0.14 * size, middle - 0.75 * tall], [0.5 * size, 0.12], 0.8, { tilt: 0.9, softness: 0.35 });
  addEllipse(layer, [0.1 * scale, apex + 0.22], [0.08 + 0.035 * anatomy.aorta, 0.048], 0.7, { softness: 0.3 });
  addEllipse(layer, [0.12 * scale, apex + 0.31], [0.1, 0.06], 0.5, { softness: 0.5 });
  for (const [sign, drop] of [
    [-1, 0.015],
    [1, 0],
  ] as const) {
    addEllipse(layer, [sign * 0.2, carina + 0.05 + drop], [0.08, 0.05], 0.38, { softness: 0.8, tilt: sign * 0.9 });
  }
  for (let row = 0; row < FIELD_SIZE; row++) {
    const y = yOf(row);
    const halfWidth = scale * (0.12 + 0.06 * ramp(0.4, 0.08, y));
    const windpipe = 0.16 * ramp(carina + 0.02, carina - 0.03, y);
    const fade = ramp(base + 0.06, base - 0.04, y);
    for (let column = 0; column < FIELD_SIZE; column++) {
      const x = xOf(column);
      const index = row * FIELD_SIZE + column;
      const covered = Math.min(1, layer[index] as number) * fade;
      const pillar = 0.34 * ramp(1.3, 0.7, Math.abs(x) / halfWidth);
      const joined = 1 - (1 - covered) * (1 - pillar);
      const trachea = windpipe * ramp(0.055, 0.03, Math.abs(x + 0.008));
      attenuation[index] = (attenuation[index] as number) + 0.5 * joined - trachea;
    }
  }
}

/** Breasts and the gas bubble of the stomach. */
function drawSoftParts({ anatomy, attenuation, domeAt }: Chest): void {
  if (anatomy.breasts > 0) {
    const size = anatomy.breasts;
    for (const sign of [-1, 1]) {
      const centre = [sign * 0.5 * anatomy.width, 0.66 + 0.04 * size] as const;
      addEllipse(attenuation, centre, [0.3 + 0.06 * size, 0.16], 0.06 + 0.09 * size, { softness: 0.18 });
    }
  }
  if (anatomy.bubble) {
    const x = 0.4 * anatomy.width;
    addEllipse(attenuation, [x, domeAt(x) + 0.05], [0.13, 0.032], -0.5, { softness: 0.5 });
  }
}
