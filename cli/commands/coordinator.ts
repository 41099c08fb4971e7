/** `emixer coordinator ...`: thin shells over coordinator/commands.ts. */
import { readFile } from 'node:fs/promises';
import { FedError } from '#proto/errors.ts';
import { type CommandSpec, defineCommand } from '../command.ts';
import { describeNotice } from '../notice-text.ts';
import { flag, optionalText, parseDurationMs, text } from '../options.ts';
import { fieldLines, textTable } from '../table.ts';
import { untilAborted } from './service.ts';

const dir = text('dir', "the coordinator's folder");
/** V8 is told to keep its heap small before the service's modules fill it. */
const commands = async () => {
  await import('#coordinator/small-heap.ts');
  return import('#coordinator/commands.ts');
};
const only = (positionals: readonly string[]): string => positionals[0] ?? '';

export const coordinatorCommands: readonly CommandSpec[] = [
  defineCommand({
    path: 'coordinator init',
    description: 'make a folder with certificate authority, server certificate and database',
    options: { dir, name: text('host', 'host name or address by which sites reach the coordinator') },
    example: 'emixer coordinator init --dir coordinator --name fed.example.org',
    run: async ({ options, output }) => {
      const made = await (await commands()).initCoordinator(options);
      output.result(made, () => `made ${made.dir}; next: emixer coordinator start --dir ${made.dir}`);
      return 0;
    },
  }),
  defineCommand({
    path: 'coordinator start',
    description: 'run the coordinator until it is interrupted',
    options: {
      dir,
      listen: optionalText('addr:port', 'main listener, mutual TLS (port 0: any free one)'),
      enrolListen: optionalText('addr:port', 'enrolment listener, server-authenticated TLS'),
      http: optionalText('addr:port', 'health, OpenAPI and runs; loopback only'),
      keepIntermediate: flag('keep every contribution and the weights of every round'),
    },
    example: 'emixer coordinator start --dir coordinator --listen 0.0.0.0:7443 --enrol-listen 0.0.0.0:7444',
    run: async ({ options, output, terminal, verbose }) => {
      const { startCoordinator } = await commands();
      const running = await startCoordinator({
        dir: options.dir,
        ...(options.listen === undefined ? {} : { listen: options.listen }),
        ...(options.enrolListen === undefined ? {} : { enrolListen: options.enrolListen }),
        ...(options.http === undefined ? {} : { http: options.http }),
        ...(options.keepIntermediate ? { keepIntermediate: true } : {}),
        ...(output.json || verbose ? { logTo: terminal.stderr } : {}),
        onEvent: notice => {
          const line = describeNotice(notice);
          if (output.json || line !== undefined) output.event(notice, () => line ?? '');
        },
      });
      await untilAborted(terminal.signal);
      await running.close();
      return 0;
    },
  }),
  defineCommand({
    path: 'coordinator invite',
    description: 'make a one-time invite for a site',
    positionals: ['<site>'],
    options: {
      dir,
      out: text('file', 'where to write the invite'),
      expires: text('duration', 'how long it is valid', '24h'),
    },
    example: 'emixer coordinator invite hospital-a --dir coordinator --out hospital-a.invite --expires 24h',
    run: async ({ options, positionals, output }) => {
      const validMs = parseDurationMs(options.expires, '--expires');
      const made = await (await commands()).invite({
        dir: options.dir,
        site: only(positionals),
        out: options.out,
        validMs,
      });
      output.result(made, () => `wrote ${made.out}; hand it to ${made.site} over a channel you trust`);
      return 0;
    },
  }),
  defineCommand({
    path: 'coordinator revoke',
    description: "revoke a site's certificates, or one by its serial number",
    positionals: ['<site-or-serial>'],
    options: { dir },
    example: 'emixer coordinator revoke hospital-a --dir coordinator',
    run: async ({ options, positionals, output }) => {
      const revoked = await (await commands()).revoke({ dir: options.dir, siteOrSerial: only(positionals) });
      output.result(revoked, () => `revoked ${revoked.serials.join(', ')}`);
      return 0;
    },
  }),
  defineCommand({
    path: 'coordinator run',
    description: 'create a run from its configuration',
    positionals: ['<config>'],
    options: { dir },
    example: 'emixer coordinator run run.yaml --dir coordinator',
    run: async ({ options, positionals, output }) => {
      const path = only(positionals);
      const created = await (await commands()).createRun(options.dir, await readYaml(path), { what: path });
      output.result(created, () => fieldLines(created));
      return 0;
    },
  }),
  defineCommand({
    path: 'coordinator runs',
    description: 'list the runs',
    options: { dir },
    example: 'emixer coordinator runs --dir coordinator',
    run: async ({ options, output }) => {
      const runs = await (await commands()).listRuns(options.dir);
      output.result({ runs }, () =>
        textTable(
          ['run', 'name', 'status', 'stage', 'round', 'verdict'],
          runs.map(run => [run.runId, run.name, run.status, run.stage, run.round, run.verdict]),
        ),
      );
      return 0;
    },
  }),
  defineCommand({
    path: 'coordinator show',
    description: 'show a run: its rounds, who took part, evaluations',
    positionals: ['<run>'],
    options: { dir },
    example: 'emixer coordinator show 20260101-120000-1a2b3c4d --dir coordinator --json',
    run: async ({ options, positionals, output }) => {
      const run = await (await commands()).showRun(options.dir, only(positionals));
      output.result(run, () => fieldLines(run));
      return 0;
    },
  }),
  defineCommand({
    path: 'coordinator stop',
    description: 'stop a run; its sites drop the task',
    positionals: ['<run>'],
    options: { dir },
    example: 'emixer coordinator stop 20260101-120000-1a2b3c4d --dir coordinator',
    run: async ({ options, positionals, output }) => {
      const stopped = await (await commands()).stopRun(options.dir, only(positionals));
      output.result(stopped, () => `stopped ${stopped.runId}`);
      return 0;
    },
  }),
  defineCommand({
    path: 'coordinator audit-log verify',
    description: 'recompute the hash chain of the audit log; exit code 3 when it is broken',
    options: { dir },
    example: 'emixer coordinator audit-log verify --dir coordinator',
    run: async ({ options, output }) => {
      const check = await (await commands()).verifyAuditLog(options.dir);
      output.result(check, () => fieldLines(check));
      return check.valid ? 0 : 3;
    },
  }),
];

const MAX_YAML_BYTES = 1024 * 1024;

async function readYaml(path: string): Promise<unknown> {
  const { parse } = await import('yaml');
  try {
    const content = await readFile(path, 'utf8');
    if (content.length > MAX_YAML_BYTES) throw new Error('it has more than 1 MiB');
    return parse(content);
  } catch (cause) {
    const came = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is none' : (cause as Error).message;
    throw new FedError('CONFIG_INVALID', `expected a run configuration in YAML at ${path}; ${came}`, 'check the file', {
      cause,
    });
  }
}
