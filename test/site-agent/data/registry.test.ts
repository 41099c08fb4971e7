import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { combineSources } from '#site-agent/data/combined.ts';
import { mimicCxrJpg } from '#site-agent/data/mimic-cxr-jpg.ts';
import { prepare } from '#site-agent/data/prepare.ts';
import { DATA_KINDS, loaderOf, parseDataArgument } from '#site-agent/data/registry.ts';
import { findSections, joinSections } from '#site-agent/data/report-sections.ts';
import { phantomFolder, readAll, temporaryFolder } from '../../support/phantoms.ts';

describe('kinds of collections', () => {
  it('are the ten of the contract, two of them read', () => {
    expect(DATA_KINDS).toHaveLength(10);
    expect(loaderOf('openi').kind).toBe('openi');
    expect(loaderOf('mimic-cxr-jpg').kind).toBe('mimic-cxr-jpg');
  });

  it('are refused by name when unknown, with the nearest, and when not read yet', () => {
    const caught = (kind: string) => {
      try {
        loaderOf(kind);
      } catch (error) {
        return error;
      }
      return undefined;
    };
    expect(caught('open-i')).toMatchObject({ code: 'USAGE', exitCode: 2, remedy: 'did you mean "openi"?' });
    expect(caught('kermany')).toMatchObject({ code: 'USAGE', remedy: 'this version reads mimic-cxr-jpg, openi' });
    expect(caught('constructor')).toMatchObject({ code: 'USAGE' });
  });

  it('are split from their folder at the first equals sign', () => {
    expect(parseDataArgument('openi=/data/a=b').folder).toBe('/data/a=b');
    for (const bad of ['openi', '=x', 'openi=']) expect(() => parseDataArgument(bad)).toThrow(/KIND=DIR/);
  });
});

describe('several sources', () => {
  it('are read in turn, with ids that say where they come from', async () => {
    const [a, b] = [await phantomFolder(2, 1), await phantomFolder(2, 1)];
    const single = await readAll(mimicCxrJpg, a);
    const source = combineSources([a, b].map(folder => ({ loader: mimicCxrJpg, folder })));
    const { records } = await readAll(source.loader, source.folder);
    expect(records).toHaveLength(2 * single.records.length);
    expect(records[0]?.patient).toBe(`mimic-cxr-jpg:${single.records[0]?.patient}`);
    const out = join(await temporaryFolder(), 'prepared');
    const summary = await prepare({ ...source, out, resolution: 32, imageChannels: 1, key: Buffer.alloc(32) });
    expect(summary.records).toBe(records.length);
    expect(() => combineSources([])).toThrow(/at least one/);
    expect(() => combineSources([source, source])).toThrow(/twice/);
  });
});

describe('sections of a report', () => {
  it.each([
    [
      ' FINDINGS: \n \n Heart normal.\n Lungs clear.\n \n IMPRESSION: \n Normal.\n',
      'Heart normal. Lungs clear.',
      'Normal.',
    ],
    [' WET READ: xx ___\n FINDINGS:  A: b.\n CONCLUSION: C.', 'A: b.', 'C.'],
    [' IMPRESSION:  Only this.\r\n', null, 'Only this.'],
    [' FINDINGS AND IMPRESSION: Both.\n NOTIFICATION: Dr. ___ was told.', 'Both.', null],
    ['No heading at all, findings: none.', null, null],
    [' FINDINGS:\n \n IMPRESSION:\n', null, null],
  ])('are found in %j', (text, findings, impression) => {
    expect(findSections(text)).toEqual({ findings, impression });
  });

  it('are joined, and null when there is none', () => {
    expect(joinSections({ findings: 'a.', impression: 'b.' })).toBe('a.\n\nb.');
    expect(joinSections({ findings: null, impression: null })).toBeNull();
  });

  it('are found in time linear in a hostile text', () => {
    const started = performance.now();
    findSections('A '.repeat(32_000));
    findSections(`${'A: '.repeat(20_000)}\n`.repeat(3));
    findSections(' \n'.repeat(30_000));
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
