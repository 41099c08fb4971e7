/** `emixer data ...`: look into a collection, draw phantoms. */
import { type CommandSpec, defineCommand } from '../command.ts';
import { integer, parseDataSource, requiredList, text } from '../options.ts';
import { fieldLines, textTable } from '../table.ts';

export const dataCommands: readonly CommandSpec[] = [
  defineCommand({
    path: 'data describe',
    description: 'count what a collection holds, and name what cannot be used',
    options: { data: requiredList('kind=dir', 'collection', parseDataSource) },
    example: 'emixer data describe --data openi=/data/openi --json',
    run: async ({ options, output }) => {
      const { describe } = await import('#site-agent/data/describe.ts');
      const { loaderOf } = await import('#site-agent/data/registry.ts');
      const found: Description[] = [];
      for (const { kind, dir } of options.data) found.push(await describe({ loader: loaderOf(kind), folder: dir }));
      // One collection is one document; several are a list of them.
      output.result(found.length === 1 ? found[0] : { collections: found }, () => found.map(asText).join('\n\n'));
      return 0;
    },
  }),
  defineCommand({
    path: 'data phantom',
    description: "draw chest phantoms with reports, in MIMIC-CXR-JPG's layout",
    options: {
      out: text('dir', 'folder to write'),
      patients: integer('n', 'patients to draw', { minimum: 1, maximum: 100_000, fallback: 100 }),
      seed: integer('n', 'the same seed draws the same files', { minimum: 0, maximum: 2 ** 31 - 1, fallback: 1 }),
    },
    example: 'emixer data phantom --out phantoms --patients 50 --seed 7',
    run: async ({ options, output, terminal }) => {
      const { writePhantomCollection } = await import('#site-agent/data/phantom/collection.ts');
      const counts = await writePhantomCollection({ ...options, signal: terminal.signal });
      output.result({ out: options.out, ...counts }, () => fieldLines({ out: options.out, ...counts }));
      return 0;
    },
  }),
];

type Description = Awaited<ReturnType<typeof import('#site-agent/data/describe.ts').describe>>;

const MOST_SKIPPED_SHOWN = 20;

function asText({ labels, skipped, splits, ...counts }: Description): string {
  const labelRows = Object.entries(labels).map(([name, { positive, negative, uncertain, missing }]) => [
    name,
    positive,
    negative,
    uncertain,
    missing,
  ]);
  const shown = skipped.slice(0, MOST_SKIPPED_SHOWN).map(({ path, reason }) => `  ${path}: ${reason}`);
  const more = skipped.length - shown.length;
  return [
    fieldLines(counts),
    fieldLines(splits),
    textTable(['label', 'positive', 'negative', 'uncertain', 'missing'], labelRows),
    `skipped: ${skipped.length}`,
    ...shown,
    ...(more > 0 ? [`  and ${more} more (all of them with --json)`] : []),
  ].join('\n');
}
