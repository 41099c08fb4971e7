/**
 * Iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011, "On the stratification of multi-label data", algorithm
 * 1) for nested subsets. As there, the rarest label comes first, and the examples of each label go where that label is
 * still wanted; but an example goes to a place in [0, 1) instead of a fold, and the examples below ANY fraction are a
 * stratified sample of that size.
 */
import type { Random } from '../random.ts';

/** Neighbours among which the next example is chosen: with 64, no label is off by more than two examples anywhere. */
const WINDOW = 64;

/**
 * A place in [0, 1) for each row. Below any fraction lies that share of all rows, to one, and of each label's rows, to
 * two (of 200,000 rows with 14 labels that overlap). Time grows as n log n with the number n of labels in all rows.
 * @param rows the labels of each example, 0, 1, ..., none twice; [] is an example of none
 */
export function stratifiedPlaces(rows: readonly (readonly number[])[], random: Random): Float64Array {
  const first = iteratively(rows, random);
  const order = evened(
    [...rows.keys()].sort((a, b) => (first[a] as number) - (first[b] as number)),
    rows,
    random,
  );
  const offset = random.uniform();
  const places = new Float64Array(rows.length);
  for (const [i, example] of order.entries()) places[example] = (i + offset) / order.length;
  return places;
}

/** Each label's examples fill what the rarer labels' examples left open; those of no label fill the rest. */
function iteratively(rows: readonly (readonly number[])[], random: Random): Float64Array {
  const places = new Float64Array(rows.length).fill(Number.NaN);
  const isOpen = (example: number): boolean => Number.isNaN(places[example]);
  const place = (members: readonly number[]): number[] => {
    const open = members.filter(isOpen);
    const taken = Float64Array.from(
      members.filter(example => !isOpen(example)),
      example => places[example] as number,
    );
    const free = placesBetween(taken.sort(), open.length, random.uniform());
    for (const [i, example] of interleaved(open, rows, random).entries()) places[example] = free[i] as number;
    return open;
  };

  const members = membersOf(rows);
  const left = new Map([...members].map(([label, { length }]) => [label, length]));
  while (left.size > 0) {
    const [rarest] = [...left].reduce((a, b) => (b[1] < a[1] ? b : a));
    for (const example of place(members.get(rarest) ?? [])) {
      for (const label of rows[example] ?? []) left.set(label, (left.get(label) ?? 0) - 1);
    }
    for (const [label, count] of left) if (count === 0) left.delete(label);
  }
  place([...rows.keys()]);
  return places;
}

/** Label -> the examples that have it. */
function membersOf(rows: readonly (readonly number[])[]): Map<number, number[]> {
  const members = new Map<number, number[]>();
  for (const [example, labels] of rows.entries()) {
    for (const label of labels) {
      const others = members.get(label);
      if (others === undefined) members.set(label, [example]);
      else others.push(example);
    }
  }
  return members;
}

/**
 * `count` places, ascending, that make those `taken` (ascending) an even row: the k-th of all is due at (k + offset) / n,
 * and a new one is put there unless a taken one came before.
 */
function placesBetween(taken: Float64Array, count: number, offset: number): Float64Array {
  const result = new Float64Array(count);
  const total = taken.length + count;
  let passed = 0;
  for (let placed = 0; placed < count; ) {
    const due = (passed + placed + offset) / total;
    if (passed < taken.length && (taken[passed] as number) <= due) passed++;
    else result[placed++] = due;
  }
  return result;
}

/**
 * The examples in an order that strays little from `order`: the next is always that of the next few whose labels are
 * most wanted. A label that always comes with rarer ones has no say in its examples' places before; here it has.
 */
function evened(order: readonly number[], rows: readonly (readonly number[])[], random: Random): number[] {
  const totals: number[] = [];
  for (const labels of rows) for (const label of labels) totals[label] = (totals[label] ?? 0) + 1;
  // How many examples of each label are due and not there yet; a random part of one, so that none is always rounded down.
  const wanted = Float64Array.from(totals, () => random.uniform() - 0.5);
  const gain = (example: number): number =>
    (rows[example] ?? []).reduce((sum, label) => sum + (wanted[label] as number) - 0.5, 0);
  const window = order.slice(0, WINDOW);
  return order.map((_, i) => {
    for (const [label, total = 0] of totals.entries()) wanted[label] = (wanted[label] as number) + total / order.length;
    const gains = window.map(gain);
    const [chosen] = window.splice(gains.indexOf(Math.max(...gains)), 1) as [number];
    for (const label of rows[chosen] ?? []) wanted[label] = (wanted[label] as number) - 1;
    const next = order[i + WINDOW];
    if (next !== undefined) window.push(next);
    return chosen;
  });
}

/**
 * The examples in an order in which those with the same labels are evenly spread, else at random: the labels that come
 * later then find their examples' places even already.
 */
function interleaved(examples: readonly number[], rows: readonly (readonly number[])[], random: Random): number[] {
  const groups = new Map<string, number[]>();
  for (const example of random.shuffled(examples)) {
    const key = (rows[example] ?? []).join();
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [example]);
    else group.push(example);
  }
  const due = [...groups.values()].flatMap(group => {
    const offset = random.uniform();
    return group.map((example, i) => ({ example, at: (i + offset) / group.length }));
  });
  return due.sort((a, b) => a.at - b.at).map(({ example }) => example);
}
