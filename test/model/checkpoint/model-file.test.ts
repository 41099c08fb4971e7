import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { openModelFile } from '#model/checkpoint/model-file.ts';
import { saveTensors } from '#model/checkpoint/network-file.ts';
import { modelConfigOf } from '#model/federated.ts';
import { generatePairs } from '#model/generation/generate-pairs.ts';
import { marginalLabels } from '#model/generation/label-distribution.ts';
import { disposeGenerators, loadGenerators } from '#model/generation/load-generators.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { tinyRun, writeTinyModel } from '../../support/tiny-model-file.ts';

beforeAll(() => loadBackend(backendOptionsFromEnvironment(process.env)));

const tinyFile = async (): Promise<string> => join(await temporaryFolder(), 'model.safetensors');

async function load(path: string): Promise<void> {
  const model = await openModelFile(path);
  await loadGenerators(model)
    .then(disposeGenerators)
    .finally(() => model.file.close());
}

describe('a model file', () => {
  it('gives back the networks, and what they were trained with', async () => {
    const path = await tinyFile();
    const original = await writeTinyModel(path);
    const model = await openModelFile(path);
    expect(model.config).toEqual(modelConfigOf(tinyRun));
    expect(model.vocabulary.tokens).toEqual(original.vocabulary.tokens);
    expect(model.labelTotals).toEqual({ Edema: 20, Fracture: 10 });
    const loaded = await loadGenerators(model);
    await model.file.close();

    const labels = marginalLabels({ records: 0, sites: 0, labels: model.labelTotals });
    const options = { count: 7, batchSize: 3, labels, seed: 5 };
    const expected = [...generatePairs(original, options)];
    expect([...generatePairs(loaded, options)]).toEqual(expected);
    // What is left after an interruption is what would have come.
    expect([...generatePairs(loaded, { ...options, from: 3 })]).toEqual(expected.slice(1));
    disposeGenerators(loaded);
    original.dispose();
  });

  it('is refused when it is truncated, changed, of another program or without a hash', async () => {
    const path = await tinyFile();
    (await writeTinyModel(path)).dispose();
    const whole = await readFile(path);
    const refuses = (message: RegExp) =>
      expect(load(path)).rejects.toMatchObject({
        code: 'FILE_CORRUPT',
        message: expect.stringMatching(message),
        remedy: expect.stringMatching(/./),
      });

    await truncate(path, whole.length - 100);
    await refuses(/end at byte/);
    const changed = Buffer.from(whole);
    changed[whole.length - 9] = (changed[whole.length - 9] as number) ^ 1;
    await writeFile(path, changed);
    await refuses(/the file was changed/);
    await saveTensors(path, [], { format: 'pt' });
    await refuses(/"format": "emixer-model-1".*pt came/);
    await saveTensors(path, [], { format: 'emixer-model-1' });
    await refuses(/content_sha256/);
  });

  it.each([
    ['a width that its tensors do not have', { channels: 16 }, /expected F32/],
    ['a block that its tensors lack', { encoder: { growth: 4, blocks: [1, 1, 1, 2] } }, /no tensor F\/encoder/],
    [
      'a layer that its tensors lack',
      { report: { ...modelConfigOf(tinyRun).report, wordLayers: 2 } },
      /no tensor F\/decoder\/word\/lstm2/,
    ],
    ['an impossible width', { channels: 12 }, /multiple of 8/],
    ['an unknown field', { chanels: 8 }, /chanels/],
  ])('is refused when its configuration says %s', async (_, change, message) => {
    const path = await tinyFile();
    const config = { ...modelConfigOf(tinyRun), ...change };
    (await writeTinyModel(path, { model_config: JSON.stringify(config) })).dispose();
    await expect(load(path)).rejects.toMatchObject({ code: 'FILE_CORRUPT', message: expect.stringMatching(message) });
  });

  it('is refused when its vocabulary does not fit its tensors, or its totals are none', async () => {
    const path = await tinyFile();
    (await writeTinyModel(path, { vocabulary: '["one","word"]' })).dispose();
    await expect(load(path)).rejects.toMatchObject({ code: 'FILE_CORRUPT' });
    (await writeTinyModel(path, { vocabulary: '{}' })).dispose();
    await expect(load(path)).rejects.toThrow('a list of words');
    (await writeTinyModel(path, { statistics: '{"labels":{"Edema":-1}}' })).dispose();
    await expect(load(path)).rejects.toThrow('label totals');
  });
});
