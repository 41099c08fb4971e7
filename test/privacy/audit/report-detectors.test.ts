import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EditPattern } from '#privacy/audit/report-edit.ts';
import { isDistinctiveHit, isRareHit, ReportIndex } from '#privacy/audit/report-index.ts';
import { SharedRuns } from '#privacy/audit/report-substring.ts';
import { normaliseReport } from '#privacy/audit/report-text.ts';
import { seededRandom } from '#privacy/random.ts';
import { cohort } from '../../support/audit-cohort.ts';

/** Levenshtein's distance as the textbook has it. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

const few = fc.string({ unit: fc.constantFrom('a', 'b', ' '), maxLength: 100 });

describe('edit similarity', () => {
  it('equals the textbook recurrence, over several words of bits', () => {
    fc.assert(
      fc.property(few, few, (a, b) => {
        expect(new EditPattern(a).distance(b, 1_000)).toBe(editDistance(a, b));
      }),
      { numRuns: 300 },
    );
  });
  it('may stop early, but never on the wrong side of the limit', () => {
    fc.assert(
      fc.property(few, few, fc.nat(60), (a, b, most) => {
        expect(new EditPattern(a).distance(b, most) <= most).toBe(editDistance(a, b) <= most);
      }),
      { numRuns: 300 },
    );
  });
  it('is above .8, not at .8', () => {
    const pattern = new EditPattern('abcdefghij');
    expect(pattern.similarAbove('abcdefghij', 0.8)).toBe(true);
    expect(pattern.similarAbove('abcdefghiX', 0.8)).toBe(true);
    expect(pattern.similarAbove('abcdefghXX', 0.8)).toBe(false);
    expect(new EditPattern('').similarAbove('', 0.8)).toBe(false);
  });
});

const reports = (patients: number, seed: number): [string, string][] => {
  const { studies, reports: texts } = cohort(patients, 4, seed, `r${seed}`);
  return [...new Map(studies.map((study, i) => [study, texts[i] ?? '']))];
};

describe('ReportIndex', () => {
  const train = new Map(reports(250, 1));
  const index = new ReportIndex(train, 0.8, seededRandom(1, 'test'));

  it('finds the near-duplicates that comparing all pairs finds, but for one in fifty', () => {
    let [expected, found] = [0, 0];
    // A word left out and a word exchanged here and there: what a decoder that memorised would do.
    for (const [study, text] of [...train].slice(0, 120)) {
      const words = text.split(' ');
      words[5] = 'perhaps';
      words.splice(9, 1);
      const edited = words.join(' ');
      const pattern = new EditPattern(edited);
      const near = index.near(edited);
      for (const [other, original] of train) {
        if (!pattern.similarAbove(original, 0.8)) continue;
        expected++;
        if (near.studies.has(other)) found++;
      }
      expect(study).toBeDefined();
    }
    expect(expected).toBeGreaterThan(100);
    expect(found / expected).toBeGreaterThan(0.98);
  });

  it('a template of many studies is no rare hit, a report of one study is, and distinctive when it says much', () => {
    const template = index.near('no acute cardiopulmonary process .');
    expect(template.studies.size).toBeGreaterThan(5);
    expect(template.exact).toBe(true);
    expect(isRareHit(template)).toBe(false);
    expect(isDistinctiveHit(template, 150)).toBe(false);
    const long = [...train.values()].find(text => text.split(' . ').length >= 5) ?? '';
    expect(isRareHit(index.near(long))).toBe(true);
    expect(isDistinctiveHit(index.near(long), 150)).toBe(true);
    expect(isDistinctiveHit(index.near(long), 10_000)).toBe(false);
  });

  it('nothing is near an empty or an unheard report', () => {
    expect(index.near('').studies.size).toBe(0);
    expect(index.near('quite another matter altogether').studies.size).toBe(0);
  });
});

describe('SharedRuns', () => {
  it('is the longest run of words that a search through all runs finds', () => {
    const word = fc.constantFrom('a', 'bb', 'ccc');
    const text = fc.array(word, { maxLength: 12 }).map(words => words.join(' '));
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), text, (train, query) => {
        const words = query === '' ? [] : query.split(' ');
        let longest = 0;
        for (let i = 0; i < words.length; i++) {
          for (let j = i + 1; j <= words.length; j++) {
            const run = words.slice(i, j).join(' ');
            if (train.some(other => ` ${other} `.includes(` ${run} `))) longest = Math.max(longest, run.length);
          }
        }
        expect(new SharedRuns(train).longest(query)).toBe(longest);
      }),
      { numRuns: 500 },
    );
  });
});

describe('normaliseReport', () => {
  it('evens out case, blanks and width, keeps other scripts, and drops what says nothing', () => {
    expect(normaliseReport('  The HEART\n is\tｎormal. ')).toBe('the heart is normal.');
    expect(normaliseReport('Сердце не увеличено')).toBe('сердце не увеличено');
    expect(normaliseReport(' . - ')).toBe('');
  });
});
