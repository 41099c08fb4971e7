/**
 * The pixel field that phantoms are drawn on: primitives over a square Float32Array, row by row.
 * Coordinates: x in [-1, 1] from image left (the patient's right) to image right, y in [0, 1] from top to bottom.
 */
import type { Random } from '#model/random.ts';

/** Side of the square field in pixels. */
export const FIELD_SIZE = 256;

/** Attenuation or coverage, [FIELD_SIZE, FIELD_SIZE]. */
export type Field = Float32Array;

export type Point = readonly [x: number, y: number];

export const newField = (): Field => new Float32Array(FIELD_SIZE * FIELD_SIZE);

export const xOf = (column: number): number => (2 * column + 1) / FIELD_SIZE - 1;
export const yOf = (row: number): number => (row + 0.5) / FIELD_SIZE;

/** 0 below `from`, 1 above `to`, cubic between; `from` may exceed `to` for a falling edge. */
export function ramp(from: number, to: number, value: number): number {
  const t = (value - from) / (to - from);
  return t <= 0 ? 0 : t >= 1 ? 1 : t * t * (3 - 2 * t);
}

export const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

/** Adds `amount` times a tilted ellipse with a soft edge; `softness` is the share of the radius over which it fades. */
export function addEllipse(
  field: Field,
  centre: Point,
  radii: Point,
  amount: number,
  { tilt = 0, softness = 0.3 }: { tilt?: number; softness?: number } = {},
): void {
  // y spans half as many units as x over the same pixels: tilt in pixels, not in units.
  const cos = Math.cos(tilt);
  const sin = Math.sin(tilt);
  const reach = Math.max(radii[0], 2 * radii[1]) * (1 + softness);
  forBox(centre[0] - reach, centre[0] + reach, centre[1] - reach / 2, centre[1] + reach / 2, (index, x, y) => {
    const dx = x - centre[0];
    const dy = 2 * (y - centre[1]);
    const a = (dx * cos + dy * sin) / radii[0];
    const b = (dy * cos - dx * sin) / (2 * radii[1]);
    const r2 = a * a + b * b;
    if (r2 < (1 + softness) ** 2) {
      field[index] = (field[index] ?? 0) + amount * ramp(1 + softness, Math.max(0, 1 - softness), Math.sqrt(r2));
    }
  });
}

/** Visits the pixels of a box given in field units. */
export function forBox(
  left: number,
  right: number,
  top: number,
  bottom: number,
  visit: (index: number, x: number, y: number) => void,
): void {
  const firstColumn = Math.max(0, Math.floor(((left + 1) / 2) * FIELD_SIZE));
  const lastColumn = Math.min(FIELD_SIZE - 1, Math.ceil(((right + 1) / 2) * FIELD_SIZE));
  const firstRow = Math.max(0, Math.floor(top * FIELD_SIZE));
  const lastRow = Math.min(FIELD_SIZE - 1, Math.ceil(bottom * FIELD_SIZE));
  for (let row = firstRow; row <= lastRow; row++) {
    const y = yOf(row);
    for (let column = firstColumn; column <= lastColumn; column++) visit(row * FIELD_SIZE + column, xOf(column), y);
  }
}

export interface Stroke {
  /** Half width in pixels at the first and at the last point. */
  readonly from: number;
  readonly to: number;
  /** Strength at the first and at the last point. */
  readonly strengthFrom: number;
  readonly strengthTo: number;
  /** 0: bright in the middle; towards 1: bright at the edges, as the cortex of a bone is. */
  readonly cortex?: number;
}

/** Draws a line through `points`; where strokes overlap the stronger wins, so that joints do not show. */
export function strokeMax(field: Field, points: readonly Point[], stroke: Stroke): void {
  const cortex = stroke.cortex ?? 0;
  const segments = points.length - 1;
  for (let k = 0; k < segments; k++) {
    const [ax, ay] = pixelOf(points[k] as Point);
    const [bx, by] = pixelOf(points[k + 1] as Point);
    const dx = bx - ax;
    const dy = by - ay;
    const length2 = dx * dx + dy * dy || 1e-9;
    const reach = Math.max(stroke.from, stroke.to) + 1;
    const firstRow = Math.max(0, Math.floor(Math.min(ay, by) - reach));
    const lastRow = Math.min(FIELD_SIZE - 1, Math.ceil(Math.max(ay, by) + reach));
    const firstColumn = Math.max(0, Math.floor(Math.min(ax, bx) - reach));
    const lastColumn = Math.min(FIELD_SIZE - 1, Math.ceil(Math.max(ax, bx) + reach));
    for (let row = firstRow; row <= lastRow; row++) {
      for (let column = firstColumn; column <= lastColumn; column++) {
        const t = clamp(((column - ax) * dx + (row - ay) * dy) / length2, 0, 1);
        const along = (k + t) / segments;
        const half = stroke.from + (stroke.to - stroke.from) * along;
        const ex = column - ax - t * dx;
        const ey = row - ay - t * dy;
        const d2 = ex * ex + ey * ey;
        if (d2 >= (half + 1) * (half + 1)) continue;
        const d = Math.sqrt(d2);
        const inside = ramp(half + 1, half - 1, d);
        const shade = 1 - cortex + cortex * Math.min(1, (d / half) ** 2);
        const strength = stroke.strengthFrom + (stroke.strengthTo - stroke.strengthFrom) * along;
        const index = row * FIELD_SIZE + column;
        const value = strength * inside * shade;
        if (value > (field[index] ?? 0)) field[index] = value;
      }
    }
  }
}

const pixelOf = ([x, y]: Point): Point => [((x + 1) / 2) * FIELD_SIZE - 0.5, y * FIELD_SIZE - 0.5];

/** Points of a cubic Bezier curve. */
export function bezier(a: Point, b: Point, c: Point, d: Point, segments = 12): Point[] {
  return Array.from({ length: segments + 1 }, (_, k): Point => {
    const t = k / segments;
    const s = 1 - t;
    const at = (i: 0 | 1) => s * s * s * a[i] + 3 * s * s * t * b[i] + 3 * s * t * t * c[i] + t * t * t * d[i];
    return [at(0), at(1)];
  });
}

/** Smooth noise about 0 in [-1, 1], between random knots a whole number `cell` of pixels apart. */
export function smoothNoise(random: Random, cell: number): Field {
  const knots = Math.ceil(FIELD_SIZE / cell) + 2;
  const grid = Float32Array.from({ length: knots * knots }, () => 2 * random.uniform() - 1);
  const field = newField();
  const blend = Float32Array.from({ length: cell }, (_, k) => ramp(0, 1, k / cell));
  for (let row = 0; row < FIELD_SIZE; row++) {
    const gy = Math.floor(row / cell);
    const fy = blend[row % cell] as number;
    for (let column = 0; column < FIELD_SIZE; column++) {
      const gx = Math.floor(column / cell);
      const fx = blend[column % cell] as number;
      const at = gy * knots + gx;
      const top = (grid[at] ?? 0) * (1 - fx) + (grid[at + 1] ?? 0) * fx;
      const bottom = (grid[at + knots] ?? 0) * (1 - fx) + (grid[at + knots + 1] ?? 0) * fx;
      field[row * FIELD_SIZE + column] = top * (1 - fy) + bottom * fy;
    }
  }
  return field;
}

/** The field turned by `angle` radians, scaled and shifted (units) about its centre, bilinear, edges repeated. */
export function transform(field: Field, angle: number, scale: number, shift: Point): Field {
  const result = newField();
  const middle = (FIELD_SIZE - 1) / 2;
  const cos = Math.cos(angle) / scale;
  const sin = Math.sin(angle) / scale;
  const last = FIELD_SIZE - 1.001;
  for (let row = 0; row < FIELD_SIZE; row++) {
    const dy = row - middle - shift[1] * FIELD_SIZE;
    for (let column = 0; column < FIELD_SIZE; column++) {
      const dx = column - middle - (shift[0] * FIELD_SIZE) / 2;
      const x = clamp(cos * dx + sin * dy + middle, 0, last);
      const y = clamp(cos * dy - sin * dx + middle, 0, last);
      const x0 = x | 0;
      const y0 = y | 0;
      const fx = x - x0;
      const fy = y - y0;
      const at = y0 * FIELD_SIZE + x0;
      const top = (field[at] as number) * (1 - fx) + (field[at + 1] as number) * fx;
      const bottom = (field[at + FIELD_SIZE] as number) * (1 - fx) + (field[at + FIELD_SIZE + 1] as number) * fx;
      result[row * FIELD_SIZE + column] = top * (1 - fy) + bottom * fy;
    }
  }
  return result;
}
