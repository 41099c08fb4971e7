import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { niceScale, tickText } from '#cli/pictures/axis.ts';
import { type Panel, renderCurvesHtml, renderCurvesPng, renderCurvesSvg } from '#cli/pictures/curves.ts';
import { readableReport, renderGallery } from '#cli/pictures/gallery.ts';
import { textPath, textWidth, wrapText } from '#cli/pictures/text.ts';

const style = { size: 12 };

describe('wrapText', () => {
  it('keeps every line within the width and, where it fits, every word', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 200 }),
        fc.integer({ min: 40, max: 300 }),
        (content, width) => {
          const lines = wrapText(content, width, 1_000, style);
          for (const line of lines)
            expect(textWidth(line, style)).toBeLessThanOrEqual(Math.max(width, textWidth(line.charAt(0), style)));
          expect(lines.join('').replaceAll(/\s/g, '')).toBe(content.replaceAll(/\s/g, ''));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('ends with an ellipsis, within the width, when there is more than fits', () => {
    const lines = wrapText('the heart is normal in size and the lungs are clear '.repeat(20), 150, 3, style);
    expect(lines).toHaveLength(3);
    expect(lines[2]).toMatch(/…$/);
    expect(textWidth(lines[2] ?? '', style)).toBeLessThanOrEqual(150);
    expect(wrapText('short', 150, 3, style)).toEqual(['short']);
  });
});

describe('textPath', () => {
  it('draws without any font of the system: a path that ends where the width says', () => {
    const path = textPath('Edema', 10, 20, style);
    expect(path).toMatch(/^<path fill="#[0-9a-f]+" d="M/);
    const xs = [...path.matchAll(/[ML](-?[\d.]+)/g)].map(match => Number(match[1]));
    expect(Math.min(...xs)).toBeGreaterThanOrEqual(10);
    expect(Math.max(...xs)).toBeLessThanOrEqual(10 + textWidth('Edema', style));
  });

  it('draws any text, markup and control characters too', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 20 }),
        content => !textPath(content, 0, 0, style).includes('NaN'),
      ),
      {
        numRuns: 30,
      },
    );
    expect(textPath('</svg><script>', 0, 0, style)).not.toContain('script');
  });
});

describe('niceScale', () => {
  const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 20 });
  it('covers all values with few, evenly spaced ticks', () => {
    fc.assert(
      fc.property(values, numbers => {
        const { minimum, maximum, ticks } = niceScale(numbers);
        const slack = 1e-6 * (maximum - minimum);
        expect(minimum).toBeLessThanOrEqual(Math.min(...numbers) + slack);
        expect(maximum).toBeGreaterThanOrEqual(Math.max(...numbers) - slack);
        expect(ticks.length).toBeGreaterThanOrEqual(2);
        expect(ticks.length).toBeLessThanOrEqual(9);
      }),
      { numRuns: 1_000 },
    );
  });

  it('copes with values that hardly differ', () => {
    for (const numbers of [
      [0, 5e-324],
      [1, 1 + 2e-16],
      [-1e-320, 0],
      [7, 7],
    ]) {
      const { minimum, maximum, ticks } = niceScale(numbers);
      expect(minimum).toBeLessThan(maximum);
      expect(ticks.every(Number.isFinite)).toBe(true);
    }
  });

  it('counts in whole numbers what is counted', () => {
    expect(niceScale([1, 2, 3]).ticks).toEqual([1, 2, 3]);
    expect(niceScale([1]).ticks.every(Number.isInteger)).toBe(true);
  });

  it('passes over what is not finite', () => {
    expect(niceScale([Number.NaN, 1, Number.POSITIVE_INFINITY, 3])).toEqual(niceScale([1, 3]));
    expect(niceScale([])).toMatchObject({ minimum: 0, maximum: 1 });
  });

  it('labels neighbouring ticks differently', () => {
    for (const numbers of [
      [0, 1],
      [0.001, 0.0012],
      [5, 1e7],
      [-3, 8],
    ]) {
      const { ticks } = niceScale(numbers);
      const step = (ticks[1] ?? 0) - (ticks[0] ?? 0);
      expect(new Set(ticks.map(tick => tickText(tick, step))).size).toBe(ticks.length);
    }
  });
});

describe('curves', () => {
  const panel: Panel = {
    title: 'loss <G>',
    xLabel: 'step',
    series: [
      {
        name: 'a',
        points: [
          { x: 0, y: 2 },
          { x: 1, y: Number.NaN },
          { x: 2, y: 1 },
        ],
      },
      { name: 'b & c', points: [{ x: 1, y: 5 }] },
    ],
    references: [{ name: 'baseline', y: 9 }],
  };
  it('holds one line a series, without what is not finite, and never NaN', () => {
    const svg = renderCurvesSvg('title', [panel]);
    const lines = [...svg.matchAll(/<polyline[^>]*points="([^"]*)"/g)].map(match => match[1]?.split(' ').length);
    expect(lines).toEqual([2, 1]);
    expect(svg).not.toContain('NaN');
    expect(renderCurvesSvg('empty', [{ title: 't', xLabel: 'x', series: [] }])).not.toContain('NaN');
    expect(renderCurvesSvg('none', [])).not.toContain('NaN');
  });

  it('is a PNG, and a page that escapes its texts and holds its numbers', async () => {
    const { width, height, format } = await sharp(await renderCurvesPng('t', [panel, panel, panel])).metadata();
    expect({ format, columns: width > 1_000, rows: height > 600 }).toEqual({
      format: 'png',
      columns: true,
      rows: true,
    });
    const html = renderCurvesHtml('a <b>', [panel]);
    expect(html).toContain('a &lt;b&gt;');
    expect(html).toContain('b &amp; c');
    expect(html).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);
    expect(html).toContain('<td>baseline</td><td></td><td>9</td>');
  });
});

describe('gallery', () => {
  it('shows the pixels of each pair where they belong', async () => {
    const resolution = 32;
    const pair = (grey: number) => ({
      pixels: new Uint8Array(resolution ** 2).fill(grey),
      labels: ['Edema'],
      report: 'the lungs are clear .',
    });
    const pairs = [10, 90, 170, 250].map(pair);
    const png = await renderGallery({ title: 't', subtitle: 's', resolution, imageChannels: 1, pairs });
    const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    const at = (x: number, y: number) => data[(y * info.width + x) * info.channels];
    // Three columns: the centre of the first three images lies in one row, of the fourth below the first.
    const centres = [0, 1, 2].map(column => at(24 + 12 + 96 + column * 476, 76 + 12 + 96));
    expect(centres).toEqual([10, 90, 170]);
    expect(at(24 + 12 + 96, 76 + 12 + 96 + 228)).toBe(250);
  });

  it('takes colour, no pairs, and texts that do not fit', async () => {
    const colour = { pixels: new Uint8Array(8 * 8 * 3).fill(7), labels: [], report: 'x'.repeat(5_000) };
    for (const pairs of [[], [colour]]) {
      const png = await renderGallery({ title: 't', subtitle: 's', resolution: 8, imageChannels: 3, pairs });
      expect((await sharp(png).metadata()).format).toBe('png');
    }
  });
});

describe('readableReport', () => {
  it("writes the model's sentences as people do, and changes no word", () => {
    expect(readableReport('the heart is normal . no effusion . ')).toBe('The heart is normal. No effusion.');
    expect(readableReport('a 1.5 cm nodule')).toBe('A 1.5 cm nodule.');
    expect(readableReport(' . ')).toBe('');
  });
});
