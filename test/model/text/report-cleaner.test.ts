import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cleanReport, isReportToken, joinReport, parseReport } from '#model/text/report-cleaner.ts';
import { displaySentences } from '#model/text/report-sentences.ts';

const cleaned = (raw: string): string => joinReport(cleanReport(raw));

describe('cleanReport', () => {
  test.each([
    ['The heart is normal. No effusion.', 'the heart is normal . no effusion .'],
    ['1. No acute disease. 2. Stable mild cardiomegaly.', 'no acute disease . stable mild cardiomegaly .'],
    ['No pneumothorax 2. Changes of emphysema', 'no pneumothorax . changes of emphysema .'],
    ['Within normal limits.The lungs are clear..', 'within normal limits . the lungs are clear .'],
    ['A 3.5 cm mass and/or nodule; T9-T10 (stable).', 'a 3.5 cm mass and or nodule t9-t10 stable .'],
    ['Seen at 5 p.m. The tube is e.g. too high.', 'seen at 5 pm . the tube is eg too high .'],
    ["Patient's heart", 'patients heart .'],
    ['Low lung\n volumes.\n\nFINDINGS\n\nNo change', 'low lung volumes . findings . no change .'],
    ['', ''],
    [' . ,;:!? -- . ', ''],
  ])('%j', (raw, expected) => {
    expect(cleaned(raw)).toBe(expected);
  });

  test.each([
    ['Dr. ___ was called at ___.', 'dr xxxx was called at xxxx .'],
    ['___wrote, _____2 cm', 'xxxx wrote xxxx 2 cm .'],
    ['Negative chest x-XXXX. XXXXPM', 'negative chest x xxxx . xxxx pm .'],
    ['Compared with [**2101-3-4**], [**Name (NI) 12**]ok', 'compared with xxxx xxxx ok .'],
    ['XXXX-a-XXXX', 'xxxx a xxxx .'],
  ])('removed text in %j is one mark each', (raw, expected) => {
    expect(cleaned(raw)).toBe(expected);
  });

  test('holds only tokens, and cleaning again changes nothing', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.constantFrom(
        '. ',
        '1. ',
        ' 2.',
        'XXXX',
        '__',
        '[** 1 **]',
        'a.m.',
        'Dr.',
        '3.5',
        "'s",
        '\n\n',
        'The',
        '-',
        ' ',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), pieces => {
        const sentences = cleanReport(pieces.join(''));
        expect(sentences.flat().every(isReportToken)).toBe(true);
        expect(parseReport(joinReport(sentences))).toEqual(sentences);
        expect(cleanReport(joinReport(sentences))).toEqual(sentences);
      }),
      { numRuns: 500 },
    );
  });

  test('hostile text costs linear time', () => {
    const startMs = performance.now();
    for (const piece of ['[**', '_', '1. ', 'a.b.', '\n ', '3.', 'x', '. ']) cleanReport(piece.repeat(100_000));
    expect(performance.now() - startMs).toBeLessThan(5_000);
  });
});

test('displaySentences begins with a capital and ends with a full stop', () => {
  expect(displaySentences('the lungs are clear . no effusion .')).toEqual(['The lungs are clear.', 'No effusion.']);
});
