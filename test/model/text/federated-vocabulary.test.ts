import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { combineVocabulary, siteTokenCounts } from '#model/text/federated-vocabulary.ts';

describe('siteTokenCounts', () => {
  test('counts patients, not occurrences, and hides what fewer than minPatients used', () => {
    const reports = [
      { patient: 'a', report: 'heart heart normal . smith .' },
      { patient: 'a', report: 'heart smith .' },
      { patient: 'b', report: 'heart normal constructor .' },
      { patient: 'c', report: 'heart constructor .' },
      { patient: 'd', report: null },
    ];
    expect(siteTokenCounts(reports, 2)).toEqual({ heart: 3, constructor: 2, normal: 2 });
    expect(Object.keys(siteTokenCounts(reports, 3))).toEqual(['heart']);
  });

  test('never reveals a token longer than 64 characters', () => {
    const long = 'a'.repeat(65);
    expect(siteTokenCounts([{ patient: 'a', report: `${long} ${long.slice(1)} .` }], 1)).toEqual({
      [long.slice(1)]: 1,
    });
  });
});

describe('combineVocabulary', () => {
  test('leaves out words of fewer patients, over all sites, than occurrences are asked for', () => {
    const sites = [
      { heart: 4, lung: 3, rare: 2 },
      { heart: 4, lung: 3, rare: 3 },
    ];
    expect(combineVocabulary(sites, 2, 100, 6)).toEqual(['heart', 'lung']);
    expect(combineVocabulary(sites, 2, 100, 5)).toEqual(['heart', 'lung', 'rare']);
    expect(combineVocabulary(sites, 2, 100)).toEqual(['heart', 'lung', 'rare']);
  });

  test('most frequent first, ties in code-point order', () => {
    const sites = [
      { b: 3, a: 3, lung: 9, 𝒙: 4, ｚ: 4 },
      { a: 3, b: 3, lung: 1, 𝒙: 4, ｚ: 4, only: 50 },
    ];
    expect(combineVocabulary(sites, 2, 100)).toEqual(['lung', 'ｚ', '𝒙', 'a', 'b']);
    expect(combineVocabulary(sites, 1, 2)).toEqual(['only', 'lung']);
  });

  test('ignores what is no token or no count', () => {
    const hostile = JSON.parse(
      '{"two words": 9, "a": -1, "b": 1.5, "": 4, ".": 4, "__proto__": 4, "ok": 2, "UPPER": 3}',
    ) as Record<string, number>;
    expect(combineVocabulary([hostile, { ...hostile, [`${'a'.repeat(65)}`]: 7 }], 1, 100)).toEqual(['ok']);
  });

  test('is the same in any order of sites, and holds exactly the tokens of enough sites', () => {
    const counts = fc.dictionary(fc.stringMatching(/^[a-f]{1,2}$/u), fc.integer({ min: 1, max: 5 }));
    fc.assert(
      fc.property(
        fc.array(counts, { maxLength: 5 }),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(40),
        (sites, minSites, max) => {
          const vocabulary = combineVocabulary(sites, minSites, max);
          expect(combineVocabulary([...sites].reverse(), minSites, max)).toEqual(vocabulary);
          const enough = new Set(
            sites
              .flatMap(site => Object.keys(site))
              .filter(t => sites.filter(s => Object.hasOwn(s, t)).length >= minSites),
          );
          expect(vocabulary.length).toBe(Math.min(max, enough.size));
          expect(vocabulary.every(token => enough.has(token))).toBe(true);
        },
      ),
    );
  });
});
