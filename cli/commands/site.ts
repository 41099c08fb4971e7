/** `emixer site ...`: thin shells over site-agent/commands.ts. */

import { describeAgentEvent } from '../agent-event-text.ts';
import { type CommandSpec, defineCommand } from '../command.ts';
import { integer, optionalText, parseDataSource, requiredList, text } from '../options.ts';
import { fieldLines, textTable } from '../table.ts';

const dir = text('dir', "the site's folder");
const commands = () => import('#site-agent/commands.ts');

export const siteCommands: readonly CommandSpec[] = [
  defineCommand({
    path: 'site enroll',
    description: 'make a key, which never leaves, and have it certified with a one-time invite',
    options: { dir, invite: text('file', "the coordinator's invite") },
    example: 'emixer site enroll --invite hospital-a.invite --dir site',
    run: async ({ options, output }) => {
      const enrolled = await (await commands()).enroll({ inviteFile: options.invite, dir: options.dir });
      output.result(enrolled, () => fieldLines(enrolled));
      return 0;
    },
  }),
  defineCommand({
    path: 'site preflight',
    description: 'check that this site can take part: certificate, coordinator, clock, data, backend',
    options: { dir },
    example: 'emixer site preflight --dir site',
    run: async ({ options, output, terminal }) => {
      const checks = await (await commands()).preflight({ dir: options.dir, environment: terminal.env });
      const ok = checks.every(check => check.ok);
      output.result({ ok, checks }, () =>
        checks
          .map(
            ({ name, ok: fine, detail, fix }) =>
              `${fine ? 'ok ' : 'BAD'} ${name}: ${detail}${fine ? '' : `\n    to do: ${fix}`}`,
          )
          .join('\n'),
      );
      return ok ? 0 : 4;
    },
  }),
  defineCommand({
    path: 'site prepare',
    description: "read collections into the site's prepared set",
    options: {
      dir,
      data: requiredList('kind=dir', 'collection', parseDataSource),
      resolution: integer('pixels', "side of the images, as the run's preset wants it", {
        minimum: 8,
        maximum: 1024,
        fallback: 64,
      }),
      imageChannels: integer('n', '1 or 3', { minimum: 1, maximum: 3, fallback: 1 }),
      patientsFile: optionalText('file', 'take only these patients, an id a line'),
    },
    example: 'emixer site prepare --dir site --data openi=/data/openi --resolution 64',
    run: async ({ options, output, terminal }) => {
      const { prepareSite } = await commands();
      const { patientsFile, data, imageChannels, ...rest } = options;
      const summary = await prepareSite({
        ...rest,
        imageChannels: imageChannels === 3 ? 3 : 1,
        data: data.map(({ kind, dir: folder }) => ({ kind, folder })),
        ...(patientsFile === undefined ? {} : { patientsFile }),
        signal: terminal.signal,
      });
      const { labels, skipped, splits, ...counts } = summary;
      output.result(summary, () =>
        [
          fieldLines(counts),
          fieldLines(splits),
          textTable(
            ['label', 'positive', 'negative', 'uncertain', 'missing'],
            Object.entries(labels).map(([name, count]) => [
              name,
              count.positive,
              count.negative,
              count.uncertain,
              count.missing,
            ]),
          ),
          `skipped: ${skipped.length} (named with "emixer data describe")`,
        ].join('\n'),
      );
      return 0;
    },
  }),
  defineCommand({
    path: 'site start',
    description: 'take part in runs until interrupted; dials out only, listens on nothing',
    options: { dir },
    example: 'emixer site start --dir site --json',
    run: async ({ options, output, terminal }) => {
      const { startAgent } = await commands();
      await startAgent({
        dir: options.dir,
        signal: terminal.signal,
        environment: terminal.env,
        random: Math.random,
        onEvent: event => {
          const line = describeAgentEvent(event);
          if (output.json || line !== undefined) output.event(event, () => line ?? '');
        },
      });
      return 0;
    },
  }),
  defineCommand({
    path: 'site approve',
    description: 'let this site take part in a run that waits for a person',
    positionals: ['<run>'],
    options: { dir },
    example: 'emixer site approve 20260101-120000-1a2b3c4d --dir site',
    run: async ({ options, positionals, output }) => {
      const run = positionals[0] ?? '';
      const runSha256 = await (await commands()).approve({ dir: options.dir, run });
      output.result({ run, runSha256 }, () => `approved ${run}, configuration ${runSha256}`);
      return 0;
    },
  }),
  defineCommand({
    path: 'site egress',
    description: 'everything that ever left this site: kind, bytes, hash',
    options: { dir },
    example: 'emixer site egress --dir site',
    run: async ({ options, output }) => {
      const lines = await (await commands()).egressSummary(options);
      output.result({ egress: lines }, () =>
        textTable(
          ['kind', 'bytes', 'times', 'sha256'],
          lines.map(({ kind, bytes, times, sha256 }) => [kind, bytes, times, sha256]),
        ),
      );
      return 0;
    },
  }),
  defineCommand({
    path: 'site audit-log verify',
    description: 'recompute the hash chain of the audit log; exit code 3 when it is broken',
    options: { dir },
    example: 'emixer site audit-log verify --dir site',
    run: async ({ options, output }) => {
      const check = await (await commands()).verifyAuditLog(options);
      output.result(check, () => fieldLines(check));
      return check.valid ? 0 : 3;
    },
  }),
  defineCommand({
    path: 'site delete-prepared',
    description: 'delete everything that was made from patients: prepared data, local models, checkpoints',
    options: { dir },
    example: 'emixer site delete-prepared --dir site',
    run: async ({ options, output }) => {
      await (await commands()).deletePrepared(options);
      output.result({ dir: options.dir, deleted: true }, () => `deleted what was made from patients in ${options.dir}`);
      return 0;
    },
  }),
];
