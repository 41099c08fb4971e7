import { describe, expect, it } from 'vitest';
import { allCommands } from '#cli/commands/index.ts';
import { configOf, withBatch } from '#cli/model/model-size.ts';
import { runProgram } from '#cli/program.ts';
import { resolveModelConfig } from '#model/config.ts';
import { fakeTerminal } from '../../support/fake-terminal.ts';

async function run(...argv: string[]) {
  const terminal = fakeTerminal({ now: Date.now });
  const code = await runProgram(allCommands, ['model', ...argv], terminal);
  return { code, out: terminal.out(), err: terminal.err() };
}

describe('emixer model describe', () => {
  it("prints the paper's width to the digit, and every network", async () => {
    const size = ['--preset', 'biggan128', '--channels', '96', '--labels', '14', '--image-channels', '1'];
    const { code, out } = await run('describe', ...size, '--json');
    expect(code).toBe(0);
    const described = JSON.parse(out);
    expect(described).toMatchObject({
      generator: { parameters: 70_306_050 },
      imageDiscriminator: { parameters: 86_472_102 },
      // DenseNet-121 with 14 findings.
      encoder: { parameters: 6_947_584 + 1024 * 14 + 14 },
    });
    for (const part of ['reportGenerator', 'reportDiscriminator', 'jointDiscriminator']) {
      expect(described[part]).toEqual({ parameters: expect.any(Number), gmacs: expect.any(Number) });
    }
    expect(described.generator.gmacs).toBeCloseTo(20.07, 1);
  });

  it.each([
    [['--resolution', '64', '--channels', '8'], 689_410, 308_558],
    [['--resolution', '32', '--channels', '16'], 371_713, 264_645],
    [['--channels', '96', '--image-channels', '3', '--labels', '1000'], 70_433_988, 87_982_370 + 1536 * 4 + 4],
  ])('takes %j', async (size, generator, discriminator) => {
    const described = JSON.parse((await run('describe', ...size, '--json')).out);
    expect(described.generator.parameters).toBe(generator);
    expect(described.imageDiscriminator.parameters).toBe(discriminator);
  });

  it('counts more words where the vocabulary is larger', async () => {
    const words = async (n: string) =>
      JSON.parse((await run('describe', '--vocabulary', n, '--json')).out).reportGenerator.parameters;
    // A row of the embedding and a column of the output.
    expect((await words('501')) - (await words('500'))).toBe(2 * 512);
  });

  it('is a table for a person', async () => {
    const { out } = await run('describe', '--preset', 'paper');
    expect(out).toContain('paper: 128 x 128 x 3, channels 96, 14 labels, 1000 words');
    expect(out).toMatch(/^G +70307780 +20\.1/m);
    expect(out).toMatch(/^D_joint +\d+/m);
  });

  it.each([
    [['--preset', 'bigan128'], 'unknown preset "bigan128"'],
    [['--resolution', '100'], '--resolution is 100; expected 32, 64, 128'],
    [['--channels', '12'], 'channels is 12; expected a multiple of 8'],
    [['--image-channels', '2'], '--image-channels is 2; expected 1 (grey) or 3 (colour)'],
    [['--labels', '0'], '--labels is "0"; expected an integer from 1'],
    [['--channels', 'wide'], '--channels is "wide"; expected an integer'],
  ])('%j is refused by value, with what to do', async (argv, message) => {
    const { code, err } = await run('describe', ...argv);
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(err).toContain('to do: ');
  });
});

describe('emixer model bench', () => {
  it('has the fields of the contract', async () => {
    const size = ['--preset', 'phantom32', '--channels', '8', '--batch', '2', '--iterations', '2'];
    const { code, out } = await run('bench', ...size, '--json');
    expect(code).toBe(0);
    const document = JSON.parse(out);
    expect(document).toMatchObject({
      secondsPerIteration: { median: expect.any(Number), min: expect.any(Number), max: expect.any(Number) },
      peakRssBytes: expect.any(Number),
      backend: { name: expect.any(String), version: expect.any(String), device: expect.any(String) },
      part: 'image',
      batch: 2,
      iterations: 2,
    });
    expect(document.opsPerIteration === null || document.opsPerIteration > 0).toBe(true);
    expect(document.tensorsAfter).toBe(document.tensorsBefore);
    expect(document.firstStepSeconds).toBeGreaterThan(0);
  });

  it('refuses another part', async () => {
    const { code, err } = await run('bench', '--part', 'text');
    expect(code).toBe(2);
    expect(err).toContain('--part is "text"; expected image or all');
  });
});

describe('the size that is asked about', () => {
  const none = { resolution: undefined, channels: undefined, labels: undefined, imageChannels: undefined };

  it("is the preset's where nothing is given", () => {
    expect(configOf({ preset: 'openi64', ...none })).toEqual(resolveModelConfig('openi64'));
  });

  it('keeps parts of a batch only where they still divide it', () => {
    const paper = resolveModelConfig('paper');
    expect(withBatch(paper, undefined)).toBe(paper);
    expect(withBatch(paper, 64)).toMatchObject({ batchSize: 64, microBatchSize: 32 });
    expect(withBatch(paper, 32)).toMatchObject({ batchSize: 32, microBatchSize: 0 });
    expect(withBatch(paper, 40)).toMatchObject({ batchSize: 40, microBatchSize: 0 });
  });
});
