import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random } from '#model/random.ts';
import { drawAnatomy, drawExposure } from '#site-agent/data/phantom/anatomy.ts';
import { writePhantomCollection } from '#site-agent/data/phantom/collection.ts';
import { DEFAULT_PRIOR, DRAWN_LABELS, type Finding } from '#site-agent/data/phantom/findings.ts';
import { drawPatient } from '#site-agent/data/phantom/patient.ts';
import { sitePriors } from '#site-agent/data/phantom/priors.ts';
import { renderPhantom } from '#site-agent/data/phantom/render.ts';
import { temporaryFolder } from '../../../support/phantoms.ts';

const SIZE = 256;
const finding = (label: Finding['label'], side: Finding['side'], zone: Finding['zone'] = null): Finding => ({
  label,
  side,
  zone,
  severity: 0.8,
  certain: true,
  trend: null,
  shape: 11,
});

/** Mean grey of a box given in shares of the picture. */
function mean(
  pixels: Uint8Array,
  [left, right]: readonly [number, number],
  [top, bottom]: readonly [number, number],
): number {
  let sum = 0;
  let count = 0;
  for (let row = Math.floor(top * SIZE); row < bottom * SIZE; row++) {
    for (let column = Math.floor(left * SIZE); column < right * SIZE; column++) {
      sum += pixels[row * SIZE + column] ?? 0;
      count++;
    }
  }
  return sum / count;
}

/** Mean change over patients that a finding makes in a box. */
function change(of: Finding, x: readonly [number, number], y: readonly [number, number]): number {
  let sum = 0;
  for (let patient = 0; patient < 4; patient++) {
    const random = new Random('visible', patient);
    const anatomy = drawAnatomy(random);
    const exposure = drawExposure(random, 'PA');
    sum += mean(renderPhantom(anatomy, exposure, [of]), x, y) - mean(renderPhantom(anatomy, exposure, []), x, y);
  }
  return sum / 4;
}

const RIGHT = [0.14, 0.38] as const;
const LEFT = [0.62, 0.86] as const;

describe('a phantom film', () => {
  it('is the same for the same seed and differs for another', () => {
    const film = (seed: number) => {
      const random = new Random('film', seed);
      const anatomy = drawAnatomy(random);
      return createHash('sha256')
        .update(renderPhantom(anatomy, drawExposure(random, 'AP'), []))
        .digest('hex');
    };
    expect(film(1)).toBe(film(1));
    expect(film(1)).not.toBe(film(2));
  });

  it('is radiographic: lungs dark, heart, spine and abdomen bright', () => {
    for (let patient = 0; patient < 10; patient++) {
      const random = new Random('bright', patient);
      const anatomy = drawAnatomy(random);
      const film = renderPhantom(anatomy, drawExposure(random, 'PA'), []);
      const lungs = (mean(film, [0.2, 0.34], [0.35, 0.6]) + mean(film, [0.66, 0.8], [0.35, 0.6])) / 2;
      expect(mean(film, [0.48, 0.52], [0.5, 0.7]) - lungs).toBeGreaterThan(50);
      expect(mean(film, [0.3, 0.4], [0.9, 0.98]) - lungs).toBeGreaterThan(60);
      expect(lungs).toBeGreaterThan(20);
      expect(lungs).toBeLessThan(150);
    }
  });

  it.each([
    ['effusion', finding('Pleural Effusion', 'left'), LEFT, RIGHT, [0.62, 0.78], 1],
    ['effusion', finding('Pleural Effusion', 'right'), RIGHT, LEFT, [0.62, 0.78], 1],
    ['consolidation', finding('Consolidation', 'right', 'upper'), RIGHT, LEFT, [0.2, 0.38], 1],
    ['consolidation', finding('Consolidation', 'left', 'lower'), LEFT, RIGHT, [0.58, 0.72], 1],
    ['pneumothorax', finding('Pneumothorax', 'right'), [0.16, 0.26], [0.74, 0.84], [0.3, 0.5], -1],
    ['pneumothorax', finding('Pneumothorax', 'left'), [0.74, 0.84], [0.16, 0.26], [0.3, 0.5], -1],
    ['atelectasis', finding('Atelectasis', 'left'), LEFT, RIGHT, [0.62, 0.76], 1],
  ] as const)('shows %s on its own side only: %o', (_, of, there, elsewhere, rows, sign) => {
    expect(sign * change(of, there, rows)).toBeGreaterThan(4);
    expect(Math.abs(change(of, elsewhere, rows))).toBeLessThan(1.5);
  });

  it('shows oedema in both lungs, and an enlarged heart beside the normal one', () => {
    const edema = finding('Edema', null);
    expect(change(edema, [0.25, 0.4], [0.4, 0.6])).toBeGreaterThan(10);
    expect(change(edema, [0.6, 0.75], [0.4, 0.6])).toBeGreaterThan(10);
    expect(change(finding('Cardiomegaly', null), [0.66, 0.76], [0.55, 0.7])).toBeGreaterThan(15);
  });
});

describe('a phantom patient', () => {
  const patients = Array.from({ length: 400 }, (_, index) => drawPatient(1, index, DEFAULT_PRIOR));
  const studies = patients.flatMap(patient => patient.studies);

  it('has one to four studies of one body', () => {
    const counts = new Set(patients.map(patient => patient.studies.length));
    expect([...counts].sort()).toEqual([1, 2, 3, 4]);
  });

  it('has reports whose labels are the findings, and which name the side', () => {
    for (const { findings, report } of studies) {
      for (const { label, certain, side } of findings) {
        expect(report.labels[label]).toBe(certain ? 1 : -1);
        const word = side === 'both' ? /bilateral|both/i : side === null ? /./ : new RegExp(`\\b${side}\\b`, 'i');
        expect(report.text).toMatch(word);
      }
      const present = new Set(findings.map(({ label }) => label));
      for (const label of DRAWN_LABELS) {
        if (!present.has(label)) expect([undefined, 0]).toContain(report.labels[label]);
      }
      const sides = new Set(findings.map(({ side }) => side));
      const sided = findings.length > 0 && !sides.has('both');
      if (sided && !sides.has('left')) expect(report.text).not.toMatch(/\bleft\b/i);
      if (sided && !sides.has('right')) expect(report.text).not.toMatch(/\bright\b/i);
      expect(report.labels['No Finding'] === 1).toBe(findings.every(({ label }) => label === 'Support Devices'));
      expect(report.text).not.toMatch(/[{}]|undefined|\ba [aeio]/);
    }
  });

  it('has many wordings: the commonest text is rare, and every label is seen positive and denied', () => {
    const texts = new Map<string, number>();
    for (const { report } of studies) texts.set(report.text, (texts.get(report.text) ?? 0) + 1);
    expect(Math.max(...texts.values()) / studies.length).toBeLessThan(0.02);
    for (const label of DRAWN_LABELS) {
      const values = studies.map(({ report }) => report.labels[label]);
      expect(values.filter(value => value === 1).length).toBeGreaterThan(10);
      expect(values.filter(value => value === 0).length).toBeGreaterThan(10);
      expect(values.filter(value => value === undefined).length).toBeGreaterThan(5);
    }
  });
});

describe('a phantom collection', () => {
  it('is the same folder, byte for byte, for the same seed', async () => {
    const folder = await temporaryFolder();
    const digest = async (name: string, seed: number) => {
      const out = join(folder, name);
      const counts = await writePhantomCollection({ out, patients: 3, seed });
      const hash = createHash('sha256');
      const names = (await readdir(out, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile());
      expect(names.filter(entry => entry.name.endsWith('.jpg'))).toHaveLength(counts.images);
      expect(names.filter(entry => entry.name.endsWith('.txt'))).toHaveLength(counts.studies);
      for (const path of names.map(entry => join(entry.parentPath, entry.name)).sort()) {
        hash.update(path.slice(out.length)).update(await readFile(path));
      }
      return hash.digest('hex');
    };
    const first = await digest('a', 1);
    expect(await digest('b', 1)).toBe(first);
    expect(await digest('c', 2)).not.toBe(first);
  });

  it.each([0, -1, 1.5, 1e9])('refuses %s patients', async patients => {
    await expect(writePhantomCollection({ out: '/nowhere', patients, seed: 1 })).rejects.toMatchObject({
      code: 'USAGE',
    });
  });

  it('differs from site to site by its prior, with a mean near the default', () => {
    const priors = Array.from({ length: 200 }, (_, seed) => sitePriors(3, 0.7, seed)).flat();
    for (const label of DRAWN_LABELS) {
      const rates = priors.map(prior => prior[label]);
      const mean = rates.reduce((a, b) => a + b, 0) / rates.length;
      expect(Math.abs(mean - DEFAULT_PRIOR[label])).toBeLessThan(0.05);
      expect(Math.max(...rates) - Math.min(...rates)).toBeGreaterThan(0.1);
    }
  });
});
