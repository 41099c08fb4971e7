/** coordinator.yaml: how one coordinator listens and what it allows. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { parse } from 'yaml';
import { FedError } from '#proto/errors.ts';
import { parseWith } from '#proto/validate.ts';

const address = (fallback: string, description: string) =>
  Type.String({ pattern: '^[^\\s/]+:[0-9]{1,5}$', maxLength: 300, default: fallback, description });

export const CoordinatorConfigSchema = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$',
      description: 'host name by which sites reach this coordinator; in its certificate',
    }),
    listen: address('127.0.0.1:7443', 'main listener: mutual TLS'),
    enrolListen: address('127.0.0.1:7444', 'enrolment listener: server-authenticated TLS'),
    http: address('127.0.0.1:7445', 'health, OpenAPI and runs; loopback only'),
    heartbeatIntervalMs: Type.Integer({
      minimum: 100,
      maximum: 600_000,
      default: 10_000,
      description: 'how often a site that works on a task says so',
    }),
    uploadQuotaBytes: Type.Integer({
      minimum: 1,
      default: 8 * 1024 ** 3,
      description: 'the most that a site may upload for one step',
    }),
    keepIntermediate: Type.Boolean({
      default: false,
      description: 'keep every contribution and the weights of every round, e.g. to recompute an average',
    }),
    logLevel: Type.Union(
      ['trace', 'debug', 'info', 'warn', 'error', 'silent'].map(level => Type.Literal(level)),
      { default: 'info', description: 'of the structured log, which is written with --json or --verbose' },
    ),
  },
  { additionalProperties: false },
);

export type CoordinatorConfig = Static<typeof CoordinatorConfigSchema>;

export const configPath = (dir: string): string => join(dir, 'coordinator.yaml');
export const databasePath = (dir: string): string => join(dir, 'coordinator.db');
export const runsFolderOf = (dir: string): string => join(dir, 'runs');

/** @throws FedError NOT_FOUND when the folder has not been initialised; CONFIG_INVALID */
export async function loadConfig(dir: string): Promise<CoordinatorConfig> {
  const path = configPath(dir);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new FedError(
      'NOT_FOUND',
      `expected a coordinator's folder at ${dir}; it has no coordinator.yaml`,
      'run "emixer coordinator init" first',
      { cause },
    );
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new FedError('CONFIG_INVALID', `${path} is no YAML: ${(cause as Error).message}`, 'correct the file', {
      cause,
    });
  }
  return parseWith(CoordinatorConfigSchema, value, path);
}

/** @throws FedError CONFIG_INVALID when the host of host:port is not this machine's loopback */
export function requireLoopback(hostAndPort: string): { host: string; port: number } {
  const cut = hostAndPort.lastIndexOf(':');
  const host = hostAndPort.slice(0, cut);
  if (host !== '127.0.0.1' && host !== 'localhost' && host !== '[::1]') {
    throw new FedError(
      'CONFIG_INVALID',
      `expected a loopback address for http; ${hostAndPort} came`,
      'e.g. 127.0.0.1:0',
    );
  }
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(hostAndPort.slice(cut + 1)) };
}
