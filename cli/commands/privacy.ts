/** `emixer privacy ...`: checks of generated data. */
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { FedError } from '#proto/errors.ts';
import { type CommandSpec, defineCommand } from '../command.ts';
import { readConfigFile } from '../option-sources.ts';
import { type DataSource, integer, optionalText, parseDataSource, text } from '../options.ts';

const MAX_REPORT_BYTES = 16 * 1024 * 1024;

export const privacyCommands: readonly CommandSpec[] = [
  defineCommand({
    path: 'privacy scan',
    description: 'find what could identify a person in report texts; "-" or nothing reads standard input',
    positionals: ['[files...]'],
    example: 'emixer privacy scan reports/*.txt --json',
    run: async ({ positionals, output, terminal }) => {
      const { scanPhi } = await import('#privacy/audit/phi.ts');
      for (const file of positionals.length === 0 ? ['-'] : positionals) {
        const content = file === '-' ? await readStream(terminal.stdin) : await readReport(file);
        const hits = scanPhi(content);
        // Kinds and places only: the text itself must not end up in a log.
        output.event({ file, hits }, () => describeHits(file, hits));
      }
      return 0;
    },
  }),
  defineCommand({
    path: 'privacy audit',
    description:
      'audit a generated folder against training and holdout records; exit code 5 fail, 6 insufficient evidence',
    options: {
      generated: text('dir', "generated pairs: a folder in MIMIC-CXR-JPG's layout, or KIND=DIR"),
      train: text('dir', 'records that the model was trained on'),
      holdout: text('dir', 'records of other patients, which the model never saw'),
      config: optionalText('file', "YAML with the audit's thresholds"),
      resolution: integer('pixels', 'side at which images are compared', { minimum: 32, maximum: 512, fallback: 64 }),
      seed: integer('n', 'of the planted positive controls', { minimum: 0, maximum: 2 ** 31 - 1, fallback: 1 }),
      out: optionalText('dir', 'where to write report.html and audit.json'),
    },
    example: 'emixer privacy audit --generated synthetic --train train --holdout holdout --out audit',
    ownConfig: true,
    run: async ({ options, output, terminal }) => {
      const { privacyAudit } = await import('../privacy-audit.ts');
      const { generated, train, holdout, config, ...rest } = options;
      const result = await privacyAudit({
        ...rest,
        generated: folderOf(generated),
        train: folderOf(train),
        holdout: folderOf(holdout),
        thresholds: config === undefined ? {} : await readConfigFile(config),
        nowMs: terminal.now(),
        onProgress: output.progress,
        signal: terminal.signal,
      });
      output.result(result, () =>
        [result.sentence, ...result.gates.map(gate => `${gate.id} ${gate.verdict}: ${gate.reason}`)].join('\n'),
      );
      return VERDICT_EXIT_CODES[result.verdict];
    },
  }),
];

const VERDICT_EXIT_CODES = { pass: 0, fail: 5, 'insufficient-evidence': 6 } as const;

/** A plain folder is of MIMIC-CXR-JPG's layout, which is what this product writes. */
const folderOf = (given: string): DataSource =>
  given.includes('=') ? parseDataSource(given, 'the folder') : { kind: 'mimic-cxr-jpg', dir: given };

function describeHits(
  file: string,
  hits: readonly { readonly kind: string; readonly start: number; readonly end: number }[],
): string {
  if (hits.length === 0) return `${file}: nothing found`;
  return hits.map(({ kind, start, end }) => `${file}: ${kind} at ${start}-${end}`).join('\n');
}

async function readReport(path: string): Promise<string> {
  try {
    return checked(await readFile(path), path);
  } catch (cause) {
    if (cause instanceof FedError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    throw new FedError('NOT_FOUND', `expected a readable text file at ${path}; ${code}`, 'check the path', { cause });
  }
}

async function readStream(stream: Readable): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of stream) {
    pieces.push(Buffer.from(piece as Buffer | string));
    length += pieces.at(-1)?.length ?? 0;
    if (length > MAX_REPORT_BYTES) break;
  }
  return checked(Buffer.concat(pieces), 'standard input');
}

function checked(bytes: Buffer, where: string): string {
  if (bytes.length > MAX_REPORT_BYTES) {
    throw new FedError(
      'DATA_INVALID',
      `expected at most ${MAX_REPORT_BYTES} bytes of text in ${where}`,
      'split the file',
    );
  }
  return bytes.toString('utf8');
}
