/** `emixer model ...`: how large and how fast the model is, and what to do with a trained one. */
import { type CommandSpec, defineCommand } from '../command.ts';
import { choice, integer, optionalInteger, text } from '../options.ts';
import { fieldLines } from '../table.ts';
import { modelImportEncoderCommand } from './model-import-encoder.ts';
import { modelTrainCommand } from './model-train.ts';

const sizeOptions = {
  preset: text('name', 'model', 'biggan128'),
  resolution: optionalInteger('pixels', "32, 64 or 128 instead of the preset's", { minimum: 1, maximum: 100_000 }),
  channels: optionalInteger('n', 'width multiplier of G and D_image, a multiple of 8', {
    minimum: 1,
    maximum: 100_000,
  }),
  labels: optionalInteger('n', 'length of y', { minimum: 1, maximum: 10_000 }),
  imageChannels: optionalInteger('n', '1 grey, 3 colour', { minimum: 1, maximum: 100 }),
  vocabulary: integer('n', 'words of the vocabulary', { minimum: 1, maximum: 100_000, fallback: 1000 }),
};

const PARTS = ['image', 'all'] as const;

const modelOption = text('file', "model.safetensors of a run's output, or an exported one");

export const modelCommands: readonly CommandSpec[] = [
  defineCommand({
    path: 'model describe',
    description: 'parameters and multiply-adds of every network, without loading TensorFlow',
    options: sizeOptions,
    example: 'emixer model describe --preset biggan128 --channels 96 --json',
    run: async ({ options, output }) => {
      const { configOf } = await import('../model/model-size.ts');
      const { describeModel, descriptionText } = await import('../model/describe.ts');
      const description = describeModel(options.preset, configOf(options), options.vocabulary);
      output.result(description, () => descriptionText(description));
      return 0;
    },
  }),
  defineCommand({
    path: 'model bench',
    description: 'time, calls into TensorFlow and memory of a training step on synthetic records, after two of warm-up',
    options: {
      ...sizeOptions,
      batch: optionalInteger('n', "records a step, instead of the preset's", { minimum: 1, maximum: 2048 }),
      iterations: integer('n', 'steps that are timed', { minimum: 1, maximum: 100_000, fallback: 5 }),
      part: choice('part', 'G and D_image alone, or every network', PARTS, 'image'),
    },
    example: 'emixer model bench --preset openi64 --channels 32 --batch 8 --iterations 10 --part all --json',
    run: async ({ options, output, terminal }) => {
      const { configOf, withBatch } = await import('../model/model-size.ts');
      const { benchModel, benchText } = await import('../model/bench.ts');
      const { preset, batch, iterations, part, vocabulary } = options;
      const config = withBatch(configOf(options), batch);
      const measured = { config, iterations, part, vocabulary, signal: terminal.signal };
      const document = await benchModel(preset, measured, terminal.env);
      output.result(document, () => benchText(document));
      return 0;
    },
  }),
  defineCommand({
    path: 'model generate',
    description: "generate pairs into a folder of MIMIC-CXR-JPG's layout, with a manifest and a gallery",
    options: {
      model: modelOption,
      count: integer('n', 'pairs', { minimum: 1, maximum: 10_000_000 }),
      labels: text('spec', 'training, counts as Cardiomegaly=10,Edema=5, or a CSV file of label rows', 'training'),
      batch: optionalInteger('n', 'pairs at once; other batches give other pairs', { minimum: 1, maximum: 4096 }),
      seed: integer('n', 'the same seed gives the same files', { minimum: 0, maximum: 2 ** 31 - 1, fallback: 1 }),
      out: text('dir', 'folder to write; empty, or of the same command, interrupted'),
    },
    example: 'emixer model generate --model release/model.safetensors --count 1000 --seed 7 --out synthetic',
    run: async ({ options, output, terminal }) => {
      const { generateFolder } = await import('../model/generate.ts');
      const { env, signal } = terminal;
      const result = await generateFolder(options, { env, signal, onProgress: output.progress });
      output.result(result, () => fieldLines(result));
      return 0;
    },
  }),
  defineCommand({
    path: 'model export',
    description: 'check a model and write its averaged G and F, configuration and vocabulary into one file',
    options: { model: modelOption, out: text('file', 'safetensors file to write') },
    example: 'emixer model export --model release/model.safetensors --out emixer.safetensors --json',
    run: async ({ options, output, terminal }) => {
      const { exportModel } = await import('../model/export.ts');
      const result = await exportModel(options.model, options.out, terminal.env);
      output.result(result, () => fieldLines(result));
      return 0;
    },
  }),
  modelTrainCommand,
  modelImportEncoderCommand,
];
