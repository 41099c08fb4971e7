/** `emixer model import-encoder`: published DenseNet weights as F's encoder. */
import { type CommandSpec, defineCommand } from '../command.ts';
import { text } from '../options.ts';
import { fieldLines } from '../table.ts';

export const modelImportEncoderCommand: CommandSpec = defineCommand({
  path: 'model import-encoder',
  description: "turn torchxrayvision's DenseNet weights into weights of F's image encoder",
  options: {
    weights: text('file', "safetensors file of the network's state_dict"),
    preset: text('name', 'whose encoder it is to be', 'biggan128'),
    out: text('file', 'safetensors file to write'),
  },
  example:
    'emixer model import-encoder --weights densenet121-res224-all.safetensors --preset biggan128 --out encoder.safetensors',
  run: async ({ options, output }) => {
    const { resolveModelConfig } = await import('#model/config.ts');
    const { importDenseNet } = await import('#model/checkpoint/import-densenet.ts');
    const { weights, preset, out } = options;
    const { tensors, parameters, leftOut } = await importDenseNet(weights, resolveModelConfig(preset), out);
    const counters = leftOut.filter(name => name.endsWith('.num_batches_tracked')).length;
    const others = leftOut.filter(name => !name.endsWith('.num_batches_tracked'));
    const result = { out, preset, tensors, parameters, leftOut: others, counters };
    output.result(result, () => fieldLines({ ...result, leftOut: others.join(', ') || 'nothing' }));
    return 0;
  },
});
