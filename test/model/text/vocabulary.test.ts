import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UNKNOWN, Vocabulary } from '#model/text/vocabulary.ts';

const vocabulary = new Vocabulary(['heart', 'normal', 'lungs', 'clear']);

describe('Vocabulary', () => {
  test('encodes sentences with an end, cut at S and T', () => {
    const report = [['heart', 'normal'], [], ['lungs', 'clear', 'heart', 'normal'], ['clear', 'smith', 'lungs']];
    const grid = vocabulary.encode([report, []], 3, 3);
    expect([...grid.ids]).toEqual([4, 5, 1, 6, 7, 4, 7, 3, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect([...vocabulary.encode([report], 1, 1).ids]).toEqual([4]);
  });

  test('decodes what it encoded, without a trace of unknown words', () => {
    const token = fc.constantFrom(...vocabulary.tokens, 'smith');
    fc.assert(
      fc.property(fc.array(fc.array(token, { minLength: 1, maxLength: 6 }), { maxLength: 4 }), report => {
        const known = report.map(s => s.filter(t => vocabulary.id(t) !== UNKNOWN)).filter(s => s.length > 0);
        expect(vocabulary.decode(vocabulary.encode([report, report], 4, 6))).toEqual([known, known]);
      }),
    );
  });

  test('refuses foreign ids and doubled tokens', () => {
    const grid = { ids: Int32Array.of(8), reports: 1, sentences: 1, words: 1 };
    expect(() => vocabulary.decode(grid)).toThrow('the vocabulary has 8');
    expect(() => new Vocabulary(['a', 'a'])).toThrow('twice');
  });
});
