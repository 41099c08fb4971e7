/** Where the ticks of an axis go. */

export interface Scale {
  readonly minimum: number;
  readonly maximum: number;
  readonly ticks: readonly number[];
}

/**
 * A range that holds all values, ending at "nice" numbers (1, 2 or 5 times a power of ten), with about `count` ticks.
 * Values that are not finite are passed over; without any, the range is 0..1.
 */
export function niceScale(values: readonly number[], count = 5): Scale {
  const finite = values.filter(Number.isFinite);
  let low = finite.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  let high = finite.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  if (finite.length === 0) [low, high] = [0, 1];
  const magnitude = Math.max(Math.abs(low), Math.abs(high));
  // One value, or differences that neither doubles nor a picture can resolve.
  if (high - low <= Math.max(1e-9 * magnitude, 1e-100)) {
    const half = magnitude < 1e-100 ? 0.5 : magnitude / 2;
    [low, high] = [low - half, high + half];
  }
  const raw = (high - low) / count;
  // Rounds and steps are counted: between 1 and 2 there is no tick.
  const step = finite.every(Number.isInteger) ? Math.max(1, niceStep(raw)) : niceStep(raw);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { minimum: first * step, maximum: last * step, ticks };
}

/** The smallest of 1, 2, 5, 10 times a power of ten that is at least `raw`. */
function niceStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw));
  return ([1, 2, 5, 10].find(factor => factor * power >= raw * (1 - 1e-9)) ?? 10) * power;
}

/** As few digits as tell neighbouring ticks apart. */
export function tickText(value: number, step: number): string {
  const rounded = Math.abs(value) < step * 1e-6 ? 0 : value;
  if (Math.abs(rounded) >= 1e5 || (rounded !== 0 && Math.abs(rounded) < 1e-3)) return rounded.toExponential(1);
  return rounded.toFixed(Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9))));
}
