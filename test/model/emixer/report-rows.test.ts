import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { flattenReports, teacherRows } from '#model/emixer/report-rows.ts';
import { END, PAD, UNKNOWN, Vocabulary } from '#model/text/vocabulary.ts';

const vocabulary = new Vocabulary(['a', 'b', 'c', 'd']);
const sentence = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'unheard'), { minLength: 1, maxLength: 7 });
const reports = fc.array(fc.array(sentence, { maxLength: 4 }), { minLength: 1, maxLength: 6 });
const limits = fc.record({ S: fc.integer({ min: 1, max: 5 }), T: fc.integer({ min: 2, max: 8 }) });

describe('teacherRows', () => {
  test('every word that counts is predicted once, after the right word, in the right sentence', () => {
    fc.assert(
      fc.property(reports, limits, (texts, { S, T }) => {
        const grid = vocabulary.encode(texts, S, T);
        const rows = teacherRows(grid);
        const columns = rows.rows.length;
        const expected = texts.flatMap((text, b) =>
          text.slice(0, S).flatMap((words, s) => {
            const ids = words.slice(0, T).map(word => vocabulary.id(word));
            const targets = words.length < T ? [...ids, END] : ids;
            return targets.map((target, t) => ({ b, s, target, before: t === 0 ? 'start' : ids[t - 1] }));
          }),
        );
        const actual = [...rows.wordRows.keys()]
          .filter(m => rows.wordWeights[m] === 1)
          .map(m => {
            const [t, n] = [Math.floor((rows.wordRows[m] ?? 0) / columns), (rows.wordRows[m] ?? 0) % columns];
            const state = rows.rows[n] ?? 0;
            return {
              b: state % texts.length,
              s: Math.floor(state / texts.length),
              target: rows.wordTargets[m],
              before: t === 0 ? 'start' : rows.previous[(t - 1) * columns + n],
            };
          });
        expect(actual).toEqual(expected);
        expect(rows.wordCount).toBe(expected.length);
        const counts = texts.map(text => Math.min(S, text.length));
        expect(rows.count).toBe(counts.reduce((a, b) => a + b, 0));
        expect(rows.stopWeights.reduce((a, b) => a + b, 0)).toBe(rows.count);
        for (const [b, count] of counts.entries()) {
          const stops = Array.from({ length: rows.steps }, (_, s) => rows.stopTargets[s * texts.length + b]);
          expect(stops.indexOf(1)).toBe(count - 1);
        }
      }),
    );
  });
});

describe('flattenReports', () => {
  test('keeps the first known tokens of each report in order, END between sentences, and says where they come from', () => {
    fc.assert(
      fc.property(reports, limits, fc.integer({ min: 1, max: 30 }), (texts, { S, T }, maxTokens) => {
        const grid = vocabulary.encode(texts, S, T);
        const flat = flattenReports(grid, maxTokens);
        expect(flat.tokens).toBeLessThanOrEqual(maxTokens);
        for (let b = 0; b < texts.length; b++) {
          const known = (texts[b] ?? []).slice(0, S).flatMap(words => {
            const ids = words.slice(0, T).map(word => vocabulary.id(word));
            const read = ids.filter(id => id !== UNKNOWN);
            return read.length > 0 && words.length < T ? [...read, END] : read;
          });
          const all = known.slice(0, maxTokens);
          const row = [...flat.ids.subarray(b * flat.tokens, (b + 1) * flat.tokens)];
          expect(flat.lengths[b]).toBe(all.length);
          expect(row).toEqual([...all, ...Array.from({ length: flat.tokens - all.length }, () => PAD)]);
        }
        for (const [i, cell] of flat.cells.entries()) if (cell >= 0) expect(grid.ids[cell]).toBe(flat.ids[i]);
      }),
    );
  });
});
