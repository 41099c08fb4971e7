/** docs/paper-map.md points at what is there. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { resolveModelConfig } from '#model/config.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const map = read('docs/paper-map.md');

const ROW = /^\| (?<number>\d+) \| "(?<sentence>.+?)" \| (?<where>.+?) \| (?<note>.*)\|$/;
const REFERENCE = /`([\w./-]+\.ts)(?:#(\w+))?`/g;
const rows = map
  .split('\n')
  .map(line => ROW.exec(line)?.groups)
  .filter(row => row !== undefined);
const references = [...map.matchAll(REFERENCE)].map(([, file = '', name]) => ({ file, name }));

describe('the map of the paper', () => {
  it('numbers its sentences without a gap', () => {
    expect(rows.map(row => Number(row['number']))).toEqual(rows.map((_, i) => i + 1));
    // The method and its supplement have no fewer; a row that the pattern above cannot read would be missing here.
    expect(rows.length).toBeGreaterThanOrEqual(139);
    expect(map.split('\n').filter(line => /^\| \d/.test(line))).toHaveLength(rows.length);
  });

  it('quotes first words, not the paper', () => {
    const long = rows.filter(row => (row['sentence'] ?? '').split(' ').length > 12);
    expect(long.map(row => row['sentence'])).toEqual([]);
  });

  it('gives every sentence a file', () => {
    expect(rows.filter(row => !(row['where'] ?? '').match(REFERENCE)).map(row => row['sentence'])).toEqual([]);
  });

  it('names only files that exist, and what they export', () => {
    const wrong = references.filter(({ file, name }) => {
      if (!existsSync(join(root, file))) return true;
      return name !== undefined && !new RegExp(`^export [^=({]*\\b${name}\\b`, 'm').test(read(file));
    });
    expect(wrong).toEqual([]);
  });

  it('says of the preset `paper` what is in it', () => {
    const paper = resolveModelConfig('paper');
    const dotted = { ...paper, ...paper.report, ...paper.jointDiscriminator, ...paper.optimiser };
    const settings = [...map.matchAll(/`(?:\w+\.)?(\w+)(?:: \w+)?`/g)].map(([, name = '']) => name);
    const known = [
      'labelMode',
      'imageFeatures',
      'mismatched',
      'dropDuplicateImages',
      'sections',
      'minOccurrences',
      'loss',
    ];
    for (const name of known) {
      expect(settings, name).toContain(name);
      expect(dotted, name).toHaveProperty(name);
    }
    expect(paper).toMatchObject({
      labelMode: 'onehot',
      imageChannels: 3,
      loss: 'log',
      batchSize: 512,
      dropDuplicateImages: true,
      report: { sections: 'findings', minOccurrences: 6, wordLayers: 3 },
      jointDiscriminator: { imageFeatures: 'unpooled', mismatched: false },
      optimiser: { generatorRate: 5e-5, discriminatorRate: 2e-4, textRate: 1e-4, discriminatorSteps: 2 },
    });
  });

  it('and docs/model.md lead to each other', () => {
    expect(map).toContain('](model.md');
    expect(read('docs/model.md')).toContain('](paper-map.md)');
  });
});
