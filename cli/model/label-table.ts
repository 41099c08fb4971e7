/** A CSV of label rows: a header that names labels, then a row a pair. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { pipeline, Transform } from 'node:stream';
import { parse } from 'csv-parse';
import { LABELS } from '#model/labels.ts';
import { FedError, toFedError } from '#proto/errors.ts';
import { nearest } from '#proto/validate.ts';
import { type LabelMask, maskOf } from './label-mask.ts';

const MAX_ROWS = 10_000_000;
const MAX_ROW_BYTES = 65_536;
/** Columns of CheXpert's and MIMIC-CXR's tables that hold no label. */
const IGNORED = ['subject_id', 'study_id', 'dicom_id', 'path', 'split'];

export interface LabelRows {
  readonly rows: readonly LabelMask[];
  /** Of the file. */
  readonly sha256: string;
}

/**
 * 1 is positive; 0, -1 (uncertain) and an empty cell are not. Labels without a column are negative.
 * @throws FedError NOT_FOUND without the file; DATA_INVALID naming row and value, an unknown column, or that there is no row
 */
export async function readLabelRows(path: string): Promise<LabelRows> {
  const name = basename(path);
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(piece: Buffer, _encoding, done) {
      hash.update(piece);
      done(null, piece);
    },
  });
  const parser = parse({ bom: true, trim: true, relax_column_count: true, max_record_size: MAX_ROW_BYTES });
  pipeline(createReadStream(path), hashing, parser, () => {});
  const rows: LabelMask[] = [];
  let columns: readonly number[] | undefined;
  try {
    for await (const cells of parser as AsyncIterable<string[]>) {
      if (columns === undefined) columns = columnsOf(cells, name);
      else rows.push(parseRow(cells, columns, rows.length + 2, name));
      if (rows.length > MAX_ROWS) throw invalid(`at most ${MAX_ROWS} rows in ${name}; it has more`, 'split it');
    }
  } catch (thrown) {
    throw readFailure(thrown, path);
  }
  if (rows.length === 0) throw invalid(`a header of labels and at least one row in ${name}; it has none`, 'add rows');
  return { rows, sha256: hash.digest('hex') };
}

/** The label that each column is of, -1 for one that is none. */
function columnsOf(header: readonly string[], name: string): number[] {
  const columns = header.map(cell => {
    const index = (LABELS as readonly string[]).indexOf(cell);
    if (index >= 0 || IGNORED.includes(cell.toLowerCase())) return index;
    const near = nearest(cell, LABELS);
    const hint = near === undefined ? `labels are ${LABELS.join(', ')}` : `did you mean "${near}"?`;
    throw invalid(`columns of ${name} that are labels; "${cell.slice(0, 60)}" came`, hint);
  });
  if (columns.every(index => index < 0)) throw invalid(`at least one column of ${name} to be a label`, 'name a label');
  return columns;
}

function parseRow(cells: readonly string[], columns: readonly number[], line: number, name: string): LabelMask {
  if (cells.length !== columns.length) {
    throw invalid(`${columns.length} cells in row ${line} of ${name}; ${cells.length} came`, 'correct the row');
  }
  const positives = columns.filter((label, i) => {
    if (label < 0) return false;
    const cell = cells[i] as string;
    const value = cell === '' ? 0 : Number(cell);
    if (value === 1 || value === 0 || value === -1) return value === 1;
    throw invalid(`1, 0, -1 or nothing in row ${line} of ${name}; "${cell.slice(0, 40)}" came`, 'correct the cell');
  });
  return maskOf(positives);
}

function readFailure(thrown: unknown, path: string): FedError {
  if (thrown instanceof FedError) return thrown;
  const { code } = thrown as NodeJS.ErrnoException;
  if (code === 'ENOENT') {
    const remedy = 'give training, LABEL=COUNT,... or the path of a CSV file';
    return new FedError('NOT_FOUND', `expected --labels to be a CSV file; there is none at ${path}`, remedy);
  }
  if (code?.startsWith('CSV_') === true)
    return invalid(`a CSV table at ${path}; it does not read (${code})`, 'correct it');
  return toFedError(thrown);
}

const invalid = (expected: string, remedy: string): FedError =>
  new FedError('DATA_INVALID', `expected ${expected}`, remedy);
