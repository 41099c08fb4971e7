/** `emixer model train`: a training at one site, without a federation. */
import { FedError } from '#proto/errors.ts';
import { type CommandSpec, defineCommand } from '../command.ts';
import { parseOverride } from '../model/overrides.ts';
import {
  flag,
  integer,
  list,
  type OptionSpec,
  optionalInteger,
  optionalText,
  parseDataSource,
  requiredList,
  text,
} from '../options.ts';

const steps = (what: string) => optionalInteger('n', what, { minimum: 0, maximum: 1_000_000 });

/** A share from 0 to 1. */
const share = (description: string, fallback: number): OptionSpec<number> => {
  const word = text('x', description, String(fallback));
  return {
    ...word,
    parse: (texts, flagName) => {
      const given = word.parse(texts, flagName);
      const value = given.trim() === '' ? Number.NaN : Number(given);
      if (value >= 0 && value <= 1) return value;
      throw new FedError('USAGE', `${flagName} is "${given}"; expected a number from 0 to 1`, 'correct the value');
    },
  };
};

export const modelTrainCommand: CommandSpec = defineCommand({
  path: 'model train',
  description: 'train one model on the collections of one site; the same command again goes on where it stopped',
  options: {
    data: requiredList('kind=dir', 'collection', parseDataSource),
    preset: text('name', 'model to begin with'),
    set: list('key.path=value', 'changes a field of the preset', parseOverride),
    out: text('dir', 'folder of checkpoints, curves, samples and the model; it holds patient data'),
    encoder: optionalText('file', "weights for F's encoder, of model import-encoder; its pre-training is left out"),
    encoderSteps: steps("steps of the encoder's pre-training (default 500, or 15 % of --minutes)"),
    reportSteps: steps("steps of the reports' pre-training (default 1000, or 25 % of --minutes)"),
    steps: optionalInteger('n', 'adversarial steps', { minimum: 1, maximum: 10_000_000 }),
    minutes: optionalInteger('n', 'in place of --steps: as many as there is time for', {
      minimum: 1,
      maximum: 1_000_000,
    }),
    seed: integer('n', 'of weights, batches and noise', { minimum: 0, maximum: 2 ** 31 - 1, fallback: 1 }),
    minPatients: integer('n', 'patients that must have used a word', { minimum: 1, maximum: 1000, fallback: 3 }),
    replicas: integer('n', 'processes that share out the micro-batches of the adversarial steps, one a GPU', {
      minimum: 1,
      maximum: 64,
      fallback: 1,
    }),
    stopAfter: optionalInteger('n', 'end after so many steps, with a checkpoint', { minimum: 1, maximum: 10_000_000 }),
    saveEvery: integer('n', 'steps between checkpoints', { minimum: 1, maximum: 1_000_000, fallback: 200 }),
    samplesEvery: integer('n', 'adversarial steps between samples', { minimum: 1, maximum: 1_000_000, fallback: 200 }),
    stopOnCollapse: flag('end at the first sign of a collapse'),
    diversityShare: share("warn when G's images lie closer together than this share of real ones", 0.2),
    floorSteps: integer('n', "warn when D_image's loss is at its floor for so many steps", {
      minimum: 1,
      maximum: 1_000_000,
      fallback: 100,
    }),
    distinctReports: integer('n', 'warn when F writes fewer different reports a sheet', {
      minimum: 0,
      maximum: 56,
      fallback: 3,
    }),
  },
  example: 'emixer model train --data openi=/data/openi --preset openi64 --set channels=16 --minutes 20 --out trained',
  run: async ({ options, output, terminal }) => {
    const { trainModel, trainText } = await import('../model/train.ts');
    const { overridesOf } = await import('../model/overrides.ts');
    const { stageSteps } = await import('../model/train-plan.ts');
    const { DEFAULT_LIMITS } = await import('#model/monitoring/collapse.ts');
    const { diversityShare, floorSteps, distinctReports } = options;
    const result = await trainModel(
      {
        ...options,
        overrides: overridesOf(options.set),
        steps: stageSteps(options),
        minutes: options.minutes ?? null,
        stopAfter: options.stopAfter ?? null,
        encoder: options.encoder ?? null,
        limits: { ...DEFAULT_LIMITS, diversityShare, floorSteps, distinctReports },
      },
      terminal,
    );
    output.result(result, () => trainText(result));
    return 0;
  },
});
