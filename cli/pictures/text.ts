/** Text as SVG paths in DejaVu Sans: a picture looks the same on a machine without any font. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import opentype from 'opentype.js';

export type Weight = 'regular' | 'bold';

const files: Record<Weight, string> = { regular: 'DejaVuSans.ttf', bold: 'DejaVuSans-Bold.ttf' };
const loaded = new Map<Weight, opentype.Font>();

/** Read once (0.75 MB, 30 ms) when the first picture is drawn. */
function fontOf(weight: Weight): opentype.Font {
  let font = loaded.get(weight);
  if (font === undefined) {
    const path = createRequire(import.meta.url).resolve(`dejavu-fonts-ttf/ttf/${files[weight]}`);
    const bytes = readFileSync(path);
    font = opentype.parse(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    loaded.set(weight, font);
  }
  return font;
}

export interface TextStyle {
  readonly size: number;
  readonly weight?: Weight;
  readonly fill?: string;
  readonly anchor?: 'start' | 'middle' | 'end';
}

/** Width of a line in pixels. */
export function textWidth(line: string, style: TextStyle): number {
  const font = fontOf(style.weight ?? 'regular');
  let units = 0;
  for (const character of printable(line)) units += font.charToGlyph(character).advanceWidth ?? 0;
  return (units * style.size) / font.unitsPerEm;
}

/**
 * One line as an SVG path element; (x, y) is its baseline at the anchor. Glyph by glyph: the library's own layout fails
 * on this font's substitution tables, and plain text needs none of them.
 */
export function textPath(line: string, x: number, y: number, style: TextStyle): string {
  const { size, weight = 'regular', fill = '#1a1a1a', anchor = 'start' } = style;
  const font = fontOf(weight);
  let left = x - (anchor === 'start' ? 0 : textWidth(line, style) * (anchor === 'middle' ? 0.5 : 1));
  let data = '';
  for (const character of printable(line)) {
    const glyph = font.charToGlyph(character);
    data += glyph.getPath(left, y, size).toPathData(2);
    left += ((glyph.advanceWidth ?? 0) * size) / font.unitsPerEm;
  }
  return data === '' ? '' : `<path fill="${fill}" d="${data}"/>`;
}

/**
 * Lines of at most `width` pixels, broken at spaces; a word wider than a line is broken anywhere. What does not fit into
 * `maxLines` ends with an ellipsis.
 */
export function wrapText(content: string, width: number, maxLines: number, style: TextStyle): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of content.split(/\s+/).filter(part => part !== '')) {
    const candidate = line === '' ? word : `${line} ${word}`;
    if (textWidth(candidate, style) <= width) {
      line = candidate;
      continue;
    }
    if (line !== '') lines.push(line);
    line = word;
    while (textWidth(line, style) > width && line.length > 1) {
      const fitting = longestPrefix(line, width, style);
      lines.push(line.slice(0, fitting));
      line = line.slice(fitting);
    }
    if (lines.length > maxLines) break;
  }
  if (line !== '') lines.push(line);
  return lines.length <= maxLines
    ? lines
    : [...lines.slice(0, maxLines - 1), ellipsis(lines[maxLines - 1] ?? '', width, style)];
}

/** Characters (at least one) that fit. */
function longestPrefix(word: string, width: number, style: TextStyle): number {
  let length = 1;
  while (length < word.length && textWidth(word.slice(0, length + 1), style) <= width) length++;
  return length;
}

function ellipsis(line: string, width: number, style: TextStyle): string {
  let kept = line;
  while (kept !== '' && textWidth(`${kept}…`, style) > width) kept = kept.slice(0, -1);
  return `${kept}…`;
}

/** Control characters have no glyph; a generated text may hold anything. */
const printable = (line: string): string => line.replace(/\p{C}/gu, ' ');
