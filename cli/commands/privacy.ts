/** `emixer privacy ...`: checks of generated data. */
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { FedError } from '#proto/errors.ts';
import { type CommandSpec, defineCommand } from '../command.ts';

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
];

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
