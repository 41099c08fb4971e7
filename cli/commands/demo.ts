/** `emixer demo`: a federation of real processes on this machine. */
import { type CommandSpec, defineCommand } from '../command.ts';
import { integer, list, parseDataSource, text } from '../options.ts';

export const demoCommand: CommandSpec = defineCommand({
  path: 'demo',
  description: 'train a federation of several hospitals on this machine: real processes, mutual TLS, audit, pictures',
  options: {
    data: list('kind=dir', 'real collection to share out by patient; without any, phantoms are drawn', parseDataSource),
    sites: integer('n', 'hospitals', { minimum: 1, maximum: 16, fallback: 3 }),
    rounds: integer('n', 'adversarial rounds', { minimum: 1, maximum: 10_000, fallback: 3 }),
    steps: integer('n', 'local steps a round', { minimum: 1, maximum: 100_000, fallback: 20 }),
    preset: text('name', 'model', 'phantom32'),
    seed: integer('n', 'of data, partition and training', { minimum: 0, maximum: 1_000_000, fallback: 1 }),
    out: text('dir', 'output folder', './emixer-demo'),
  },
  example: 'emixer demo --data openi=/data/openi --rounds 5 --out demo --json',
  run: async ({ options, output, terminal }) => {
    const { runDemo } = await import('../demo/demo.ts');
    const { summaryText, verdictText } = await import('../demo/summary.ts');
    const result = await runDemo(options, terminal);
    if (output.json) output.progress(verdictText(result));
    output.result(result, () => summaryText(result));
    return 0;
  },
});
