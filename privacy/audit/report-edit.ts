/** Edit similarity of two reports: 1 - Levenshtein distance / length of the longer, in characters. */

/**
 * Whether the similarity is above `threshold`; only a band of the table wide enough to tell is computed (Ukkonen 1985).
 */
export function similarAbove(a: string, b: string, threshold: number): boolean {
  const longest = Math.max(a.length, b.length);
  const most = Math.ceil((1 - threshold) * longest - 1e-9) - 1;
  if (a === b) return longest > 0;
  if (most < 0 || Math.abs(a.length - b.length) > most) return false;
  return editDistanceWithin(a, b, most) <= most;
}

/** Levenshtein distance of `a` and `b`, or `most` + 1 when it is larger than `most`. */
export function editDistanceWithin(a: string, b: string, most: number): number {
  const beyond = most + 1;
  if (Math.abs(a.length - b.length) > most) return beyond;
  let previous = new Int32Array(b.length + 2).fill(beyond);
  let current = new Int32Array(b.length + 2).fill(beyond);
  for (let j = 0; j <= Math.min(b.length, most); j++) previous[j] = j;
  for (let i = 1; i <= a.length; i++) {
    const from = Math.max(1, i - most);
    const to = Math.min(b.length, i + most);
    const code = a.charCodeAt(i - 1);
    current[from - 1] = from === 1 ? Math.min(i, beyond) : beyond;
    let smallest = current[from - 1] as number;
    for (let j = from; j <= to; j++) {
      const substitution = (previous[j - 1] as number) + (code === b.charCodeAt(j - 1) ? 0 : 1);
      const value = Math.min(substitution, (previous[j] as number) + 1, (current[j - 1] as number) + 1, beyond);
      current[j] = value;
      if (value < smallest) smallest = value;
    }
    current[to + 1] = beyond;
    if (smallest > most) return beyond;
    [previous, current] = [current, previous];
  }
  return previous[b.length] as number;
}
