/** A CSV table, gzipped or not, read row by row. */
import { createReadStream } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse';
import { FedError } from '#proto/errors.ts';
import { nearest } from '#proto/validate.ts';

/** A row longer than this is no table's row: a guard against one endless line. */
const MAX_ROW_BYTES = 65_536;

/**
 * Rows of `path` (or of `path` without ".gz") as objects by column name; a byte-order mark and CRLF are understood.
 * @param columns those that must be there
 * @throws FedError DATA_INVALID when the file or a column is missing (naming the nearest), or it is not a CSV
 */
export async function* readTable<C extends string>(
  path: string,
  columns: readonly C[],
): AsyncGenerator<Record<C, string>> {
  const file = await existing(path);
  const name = basename(file);
  const parser = parse({
    bom: true,
    skip_empty_lines: true,
    relax_column_count: true,
    trim: true,
    max_record_size: MAX_ROW_BYTES,
    columns: (header: string[]) => {
      for (const column of columns) if (!header.includes(column)) throw missingColumn(name, column, header);
      return header;
    },
  });
  const bytes = createReadStream(file);
  // The error reaches the reader through the parser, which pipeline destroys with it.
  if (file.endsWith('.gz')) pipeline(bytes, createGunzip(), parser, () => {});
  else pipeline(bytes, parser, () => {});
  try {
    for await (const row of parser as AsyncIterable<Partial<Record<C, string>>>) {
      yield Object.fromEntries(columns.map(column => [column, row[column] ?? ''])) as Record<C, string>;
    }
  } catch (error) {
    if (error instanceof FedError) throw error;
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw new FedError(
      'DATA_INVALID',
      `expected a CSV table in ${name}; it cannot be read (${code})`,
      'download it again',
      {
        cause: error,
      },
    );
  }
}

async function existing(path: string): Promise<string> {
  for (const candidate of [path, path.replace(/\.gz$/, '')]) {
    if (
      await access(candidate).then(
        () => true,
        () => false,
      )
    )
      return candidate;
  }
  const present = await readdir(dirname(path)).catch(() => []);
  const near = nearest(basename(path), present);
  throw new FedError(
    'DATA_INVALID',
    `expected ${basename(path)} in ${dirname(path)}, found none`,
    near === undefined ? 'check that the folder holds this collection' : `is "${near}" that file under another name?`,
  );
}

function missingColumn(name: string, column: string, header: readonly string[]): FedError {
  const near = nearest(column, header);
  const hint = near === undefined ? `its columns are ${header.slice(0, 20).join(', ')}` : `the nearest is "${near}"`;
  return new FedError('DATA_INVALID', `expected a column "${column}" in ${name}, found none`, hint);
}
