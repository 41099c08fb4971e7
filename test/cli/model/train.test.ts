import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { allCommands } from '#cli/commands/index.ts';
import { overridesOf, parseOverride } from '#cli/model/overrides.ts';
import { localRun, stageSteps } from '#cli/model/train-plan.ts';
import { runProgram } from '#cli/program.ts';
import { importDenseNet } from '#model/checkpoint/import-densenet.ts';
import { openModelFile } from '#model/checkpoint/model-file.ts';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import { resolveModelConfig } from '#model/config.ts';
import { fakeTerminal } from '../../support/fake-terminal.ts';
import { phantomFolder, temporaryFolder } from '../../support/phantoms.ts';
import { stateDictBytes, torchDenseNet } from '../../support/torch-densenet.ts';

const run = async (argv: string[]) => {
  const terminal = fakeTerminal({ now: Date.now });
  const code = await runProgram(allCommands, ['model', 'train', ...argv], terminal);
  return { code, out: terminal.out(), err: terminal.err() };
};

describe('--set', () => {
  it('changes nested fields, the last one winning', () => {
    const given = [
      'channels=16',
      'report.hidden=64',
      'report.words=1',
      'report.hidden=32',
      'encoder.blocks=[1, 2, 3, 4]',
    ];
    expect(overridesOf(given.map(item => parseOverride(item, '--set')))).toEqual({
      channels: 16,
      report: { hidden: 32, words: 1 },
      encoder: { blocks: [1, 2, 3, 4] },
    });
  });

  it.each(['channels', '=3', 'a..b=1', '__proto__.x=1', 'a.=2'])('refuses "%s"', given => {
    expect(() => parseOverride(given, '--set')).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });

  it('of a field that there is not names the nearest', () => {
    const options = { preset: 'phantom32', overrides: { chanels: 16 }, seed: 1, minPatients: 3 };
    const steps = { 'encoder-pretraining': 1, 'report-pretraining': 1, adversarial: 1 };
    expect(() => localRun(options, steps)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', remedy: 'did you mean "channels"?' }),
    );
  });
});

describe('how long', () => {
  const none = { encoderSteps: undefined, reportSteps: undefined, steps: undefined, minutes: undefined };

  it('is said by --steps or by --minutes', () => {
    expect(stageSteps({ ...none, steps: 9, encoderSteps: 0 })).toMatchObject({
      'encoder-pretraining': 0,
      adversarial: 9,
    });
    expect(stageSteps({ ...none, minutes: 9, reportSteps: 5 })).toEqual({
      'encoder-pretraining': null,
      'report-pretraining': 5,
      adversarial: null,
    });
    expect(stageSteps({ ...none, minutes: 9, encoder: 'file' })).toMatchObject({ 'encoder-pretraining': 0 });
    expect(() => stageSteps({ ...none, steps: 9, encoderSteps: 5, encoder: 'file' })).toThrow('5 came');
    expect(() => stageSteps(none)).toThrow('neither came');
    expect(() => stageSteps({ ...none, steps: 1, minutes: 1 })).toThrow('both came');
  });
});

describe('emixer model train', () => {
  const encoder = { growth: 4, blocks: [2, 2, 2, 2] };
  // Every start of the adversarial game compiles it anew: the smaller it is, the sooner that is done.
  const fields = [
    ...['report.hidden=16', 'report.embedding=16', 'report.maxSentences=2', 'report.maxWords=4', 'report.wordLayers=1'],
    ...['reportDiscriminator.maxTokens=8', 'jointDiscriminator.hidden=16', 'batchSize=4', 'standingBatches=2'],
    ...[`encoder.growth=${encoder.growth}`, `encoder.blocks=${JSON.stringify(encoder.blocks)}`],
  ];
  const small = ['--preset', 'phantom32', ...fields.flatMap(field => ['--set', field])];
  const steps = ['--encoder-steps', '1', '--report-steps', '1', '--steps', '2', '--samples-every', '1'];

  it('trains, stops, goes on, and writes the very model of a training that did not stop', async () => {
    const collection = await phantomFolder(12);
    const folder = await temporaryFolder();
    const given = (out: string) => [
      '--data',
      `mimic-cxr-jpg=${collection}`,
      ...small,
      ...steps,
      '--out',
      join(folder, out),
    ];
    const whole = await run([...given('whole'), '--json']);
    expect(whole.code, whole.err).toBe(0);
    const document = JSON.parse(whole.out);
    expect(document).toMatchObject({
      finished: true,
      warnings: [],
      stages: [{ steps: 1 }, { steps: 1 }, { steps: 2 }],
    });

    const first = await run([...given('stopped'), '--stop-after', '3', '--json']);
    expect(JSON.parse(first.out)).toMatchObject({ finished: false, model: null, stages: [{}, {}, { steps: 1 }] });
    const second = await run([...given('stopped'), '--json']);
    expect(JSON.parse(second.out).model.sha256).toBe(document.model.sha256);

    const { file, config, vocabulary } = await openModelFile(document.model.path);
    expect(config.report.hidden).toBe(16);
    expect(vocabulary.tokens.length).toBe(document.vocabulary);
    expect(file.entries.get('G/standingBatches')?.shape).toEqual([]);
    await file.close();
    expect((await readdir(document.samples)).sort()).toEqual([
      'step-000003.png',
      'step-000003.txt',
      'step-000004.png',
      'step-000004.txt',
    ]);
    expect(await readFile(join(document.samples, 'step-000004.txt'), 'utf8')).toContain('Cardiomegaly\n\n1. ');

    const other = await run([...given('whole'), '--seed', '2']);
    expect([other.code, other.err]).toEqual([2, expect.stringContaining('begun with seed 1; this one has 2')]);
  }, 300_000);

  it("begins with the encoder of a file, leaves out its pre-training, and goes on with that file's weights only", async () => {
    const collection = await phantomFolder(12);
    const folder = await temporaryFolder();
    const imported = async (name: string, outputs: number, blocks = encoder.blocks) => {
      const weights = join(folder, `${name}.torch`);
      const file = join(folder, `${name}.safetensors`);
      const state = torchDenseNet(encoder.growth, blocks, outputs);
      // Another film's statistics make it another file.
      state.get('features.norm5.running_mean')?.values.fill(outputs as never);
      await writeFile(weights, stateDictBytes(state));
      await importDenseNet(weights, resolveModelConfig('phantom32', { encoder: { ...encoder, blocks } }), file);
      return file;
    };
    const [file, other] = [await imported('encoder', 18), await imported('other', 14)];
    const out = join(folder, 'trained');
    const given = [
      ...['--data', `mimic-cxr-jpg=${collection}`, ...small, '--report-steps', '2', '--steps', '1', '--out', out],
    ];
    const begun = await run([...given, '--encoder', file, '--stop-after', '1', '--json']);
    expect(begun.code, begun.err).toBe(0);
    expect(JSON.parse(begun.out).stages).toMatchObject([{ steps: 0 }, { steps: 1 }]);

    const source = await openSafetensors(file);
    const checkpoint = await openSafetensors(join(out, 'checkpoint.safetensors'));
    expect(source.entries.size).toBeGreaterThan(20);
    for (const name of source.entries.keys())
      expect(await checkpoint.read(name), name).toEqual(await source.read(name));
    await source.close();
    await checkpoint.close();

    const copy = join(folder, 'copy.safetensors');
    await writeFile(copy, await readFile(file));
    const later = await run([...given, '--encoder', copy, '--json']);
    const { stages, model } = JSON.parse(later.out);
    expect(stages, later.err).toMatchObject([{ steps: 0 }, { steps: 2 }, { steps: 1 }]);
    const trained = await openModelFile(model.path);
    const sha256 = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    expect(trained.file.metadata['encoder_sha256']).toBe(sha256);
    await trained.file.close();
    const another = await run([...given, '--encoder', other]);
    expect([another.code, another.err]).toEqual([
      2,
      expect.stringMatching(/begun with encoder "[0-9a-f]{64}"; this one has "[0-9a-f]{64}"/),
    ]);
    const none = await run([...given, '--encoder-steps', '0']);
    expect([none.code, none.err]).toEqual([2, expect.stringMatching(/begun with encoder .*; this one has null/)]);

    // Found out before a folder is begun with it.
    const larger = await imported('larger', 18, [2, 4, 2, 2]);
    const fresh = join(folder, 'fresh');
    const refused = await run([...given.slice(0, -1), fresh, '--encoder', larger]);
    expect(refused.err).toContain('it is a DenseNet with growth 4, blocks 2, 4, 2, 2');
    expect(await readdir(folder)).not.toContain('fresh');
  }, 120_000);

  it('writes into no folder that holds something else', async () => {
    const out = join(await temporaryFolder(), 'mine');
    await mkdir(out);
    await writeFile(join(out, 'thesis.txt'), '');
    const { code, err } = await run(['--data', 'openi=/nowhere', ...small, ...steps, '--out', out]);
    expect([code, err]).toEqual([2, expect.stringContaining('it holds other files')]);
    expect(await readdir(out)).toEqual(['thesis.txt']);
  });
});
