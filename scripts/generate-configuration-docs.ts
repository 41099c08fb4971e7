/** Writes what of docs/ is made from the code: the configuration reference, and the table of error codes. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { configurationPage } from './docs/configuration.ts';
import { withErrorTable } from './docs/error-table.ts';

const docs = join(import.meta.dirname, '..', 'docs');
await writeFile(join(docs, 'configuration.md'), configurationPage());
const protocol = join(docs, 'protocol.md');
await writeFile(protocol, withErrorTable(await readFile(protocol, 'utf8')));
