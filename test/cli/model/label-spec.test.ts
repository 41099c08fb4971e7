import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { planLabels } from '#cli/model/label-spec.ts';
import { LABELS } from '#model/labels.ts';
import { Random } from '#model/random.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** Names of the positive labels of the pairs `from` .. `to`. */
async function drawn(spec: string, count: number, from = 0, totals = {}, seed = 1): Promise<string[]> {
  const draw = (await planLabels(spec, count, totals, seed)).startingAt(from);
  const random = new Random('test');
  return Array.from({ length: count - from }, () => {
    const row = draw(random);
    expect(row).toHaveLength(LABELS.length);
    return LABELS.filter((_, k) => row[k] === 1).join('+');
  });
}

async function table(content: string): Promise<string> {
  const path = join(await temporaryFolder(), 'labels.csv');
  await writeFile(path, content);
  return path;
}

describe('--labels training', () => {
  it("follows the federation's totals", async () => {
    const labels = await drawn('training', 2000, 0, { Edema: 30, Fracture: 10 });
    const edema = labels.filter(label => label === 'Edema').length;
    expect(edema + labels.filter(label => label === 'Fracture').length).toBe(2000);
    expect(Math.abs(edema - 1500)).toBeLessThan(100);
  });
});

describe('--labels with counts', () => {
  it('gives each label exactly as often, in an order of the seed, from any pair on', async () => {
    const spec = 'Cardiomegaly=10, edema=5,Edema + Pleural Effusion=2';
    const labels = await drawn(spec, 17);
    const counts = new Map<string, number>();
    for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    expect(Object.fromEntries(counts)).toEqual({ Cardiomegaly: 10, Edema: 5, 'Edema+Pleural Effusion': 2 });
    expect(await drawn(spec, 17, 8)).toEqual(labels.slice(8));
    expect(await drawn(spec, 17, 0, {}, 2)).not.toEqual(labels);
  });

  it.each([
    ['Cardiomegaly=10', 'add up to 10; expected 17'],
    ['Cardiomegali=17', 'unknown label "Cardiomegali"'],
    ['Cardiomegaly=many', '"Cardiomegaly=many"; expected LABEL=COUNT'],
    ['Cardiomegaly=-17', 'expected LABEL=COUNT'],
  ])('%s is refused', async (spec, message) => {
    await expect(drawn(spec, 17)).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining(message) });
  });

  it('names the nearest label', async () => {
    await expect(drawn('Cardiomegali=17', 17)).rejects.toMatchObject({ remedy: 'did you mean "Cardiomegaly"?' });
  });
});

describe('--labels with a table', () => {
  it('takes its rows in turn; what is uncertain or blank is not positive', async () => {
    const path = await table('\ufeffstudy_id,Edema,No Finding\r\n7,1.0,\r\n8,-1,0\r\n9,0,1\r\n');
    expect(await drawn(path, 5)).toEqual(['Edema', '', 'No Finding', 'Edema', '']);
    expect(await drawn(path, 5, 2)).toEqual(['No Finding', 'Edema', '']);
  });

  it('is known by its content', async () => {
    const [a, b, c] = await Promise.all(['Edema\n1\n', 'Edema\n1\n', 'Edema\n0\n'].map(table));
    const described = async (path: string | undefined) => (await planLabels(path ?? '', 1, {}, 1)).description;
    expect(await described(a)).toBe(await described(b));
    expect(await described(a)).not.toBe(await described(c));
  });

  it.each([
    ['Edema,Fracture\n1,0\n1\n', '2 cells in row 3 of labels.csv; 1 came'],
    ['Edema\n1\nNaN\n', '"NaN" came'],
    ['Edema\n0.5\n', 'row 2 of labels.csv; "0.5" came'],
    ['Edema,Fractur\n1,0\n', '"Fractur" came'],
    ['study_id\n1\n', 'to be a label'],
    ['Edema\n', 'at least one row'],
    ['', 'at least one row'],
    ['Edema\n"1\n', 'does not read'],
  ])('%j is refused', async (content, message) => {
    const path = await table(content);
    await expect(drawn(path, 2)).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringContaining(message),
      remedy: expect.stringMatching(/./),
    });
  });

  it('must be there', async () => {
    await expect(drawn('nowhere.csv', 2)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
