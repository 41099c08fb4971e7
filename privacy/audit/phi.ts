/** The scan of a report for what identifies a person. De-identification marks are never hits. */
import type { PhiKind } from './phi-kinds.ts';
import { PHI_PATTERNS } from './phi-patterns.ts';

export interface PhiHit {
  readonly kind: PhiKind;
  /** Offsets in UTF-16 units: text.slice(start, end) is the hit. */
  readonly start: number;
  readonly end: number;
}

/** `[** ... **]`, and any word that holds `XXXX` or `___`, glued text included (`XXXX/11`, `53XXXX`, `XXXX's`). */
const MARKS = /\[\*\*[\s\S]*?\*\*\]|\S*(?:x{3,}|X{2,}|_{2,})\S*/g;
/** Takes the place of a mark: no pattern matches it, and offsets stay. */
const BLANK = '\u0000';

/** Where `text` holds protected health information, by kind, in order; of overlapping hits the first, longest is kept. */
export function scanPhi(text: string): PhiHit[] {
  const unmarked = text.replace(MARKS, mark => BLANK.repeat(mark.length));
  const hits: PhiHit[] = [];
  for (const { kind, pattern, accept } of PHI_PATTERNS) {
    for (const match of unmarked.matchAll(pattern)) {
      if (accept !== undefined && !accept(match)) continue;
      const groups = match.indices?.slice(1) ?? [];
      const first = groups[0] ?? match.indices?.[0];
      const last = groups.at(-1) ?? first;
      if (first !== undefined && last !== undefined) hits.push({ kind, start: first[0], end: last[1] });
    }
  }
  hits.sort((a, b) => a.start - b.start || b.end - a.end);
  const kept: PhiHit[] = [];
  for (const hit of hits) if (hit.start >= (kept.at(-1)?.end ?? 0)) kept.push(hit);
  return kept;
}
