import { FedError } from '#proto/errors.ts';
import type { TaskHandler } from './task.ts';
import { withWeights } from './with-weights.ts';

/** Pairs from the averaged weights with standing statistics, and the weights that made them: both are what is audited. */
export const generateTask: TaskHandler = async context => {
  const {
    checked: { task },
    base,
    fetch,
    outPath,
    work,
    admit,
  } = context;
  const weights = task.emaWeights ?? task.weights;
  if (weights === undefined) {
    throw new FedError('MESSAGE_INVALID', 'expected weights to generate from; none came', 'train before generating');
  }
  const syntheticOutPath = outPath('synthetic');
  const modelOutPath = outPath('model');
  await work({
    kind: 'generate',
    ...base,
    ...(await withWeights(context)),
    emaWeightsPath: await fetch(weights, 'ema'),
    syntheticOutPath,
    modelOutPath,
  });
  return {
    $case: 'generate',
    value: { synthetic: await admit('synthetic', syntheticOutPath), model: await admit('weights', modelOutPath) },
  };
};
