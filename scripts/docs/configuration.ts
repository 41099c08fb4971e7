/** docs/configuration.md, made from the schemas that the program checks configuration with. */
import { CoordinatorConfigSchema } from '#coordinator/config.ts';
import { ModelConfigSchema, presets } from '#model/config.ts';
import { RunConfigSchema } from '#model/federated.ts';
import { ThresholdsSchema } from '#privacy/audit/thresholds.ts';
import { SiteConfigSchema } from '#site-agent/config.ts';
import { markdownTable } from './markdown.ts';
import { schemaRows } from './schema-rows.ts';

/** The page as it has to be. */
export const configurationPage = (): string =>
  [
    '# Configuration reference',
    '',
    '<!-- Made by "npm run docs" from the schemas in the code; a test fails when it is out of date. Do not edit it. -->',
    '',
    'Every file is YAML. Unknown keys are errors that name the nearest known one (exit code 2). What a file leaves out has',
    'the default. Options of commands are in `--help`; each may also be given as `EMIXER_<OPTION>` or in `--config FILE`.',
    '',
    section('Run configuration', 'The file that `emixer coordinator run` takes; see [researcher.md](researcher.md).', [
      RunConfigSchema,
    ]),
    section(
      'Model configuration',
      'The `model` section of a run overrides any of these; the rest comes from the preset.',
      [ModelConfigSchema],
      false,
    ),
    '### Presets',
    '',
    presetsTable(),
    '',
    section('coordinator.yaml', 'In the coordinator\'s folder, made by "emixer coordinator init".', [
      CoordinatorConfigSchema,
    ]),
    section(
      'site.yaml',
      "In the site's folder, written by the hospital; without it, the defaults. Read when the agent starts. See [site-operator.md](site-operator.md).",
      [SiteConfigSchema],
    ),
    section(
      'Audit thresholds',
      'The `audit` section of a run. The reasons are printed beside the values in every audit report; see [privacy-officer.md](privacy-officer.md).',
      [ThresholdsSchema],
    ),
  ].join('\n');

function section(title: string, text: string, [schema]: readonly [object], withDefaults = true): string {
  const rows = schemaRows(schema);
  const table = withDefaults
    ? markdownTable(
        ['key', 'accepts', 'default', 'what it is'],
        rows.map(({ field, accepts, fallback, description }) => [`\`${field}\``, accepts, fallback, description]),
      )
    : markdownTable(
        ['key', 'accepts', 'what it is'],
        rows.map(({ field, accepts, description }) => [`\`${field}\``, accepts, description]),
      );
  return `## ${title}\n\n${text}\n\n${table}\n`;
}

function presetsTable(): string {
  const names = Object.keys(presets) as (keyof typeof presets)[];
  const rows = schemaRows(ModelConfigSchema).map(({ field }) => [
    `\`${field}\``,
    ...names.map(name => JSON.stringify(valueAt(presets[name], field))),
  ]);
  return markdownTable(['key', ...names.map(name => `\`${name}\``)], rows);
}

const valueAt = (document: object, field: string): unknown =>
  field.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], document);
