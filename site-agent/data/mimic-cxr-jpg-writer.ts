/** Folders of MIMIC-CXR-JPG's layout (mimic-cxr-jpg.ts reads them): what is drawn or generated is laid out so. */
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { LABELS } from '#model/labels.ts';

/** Headers of the three tables. */
export const TABLE_HEADERS = {
  split: 'dicom_id,study_id,subject_id,split',
  chexpert: ['subject_id', 'study_id', ...LABELS].join(','),
  metadata:
    'dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime',
} as const;

export type TableName = keyof typeof TABLE_HEADERS;

export const tableFile = (name: TableName): string => `mimic-cxr-2.0.0-${name}.csv.gz`;

/** "files/p10/p<subject>/s<study>", the folder of a study's images; its report is that path with ".txt". */
export const studyPath = (subject: string, study: string): string =>
  path.posix.join('files', `p${subject.slice(0, 2)}`, `p${subject}`, `s${study}`);

/** Writes a table, its header first, streaming; the same rows give the same bytes. */
export async function writeTable(
  folder: string,
  name: TableName,
  rows: Iterable<string> | AsyncIterable<string>,
): Promise<void> {
  const lines = async function* () {
    yield `${TABLE_HEADERS[name]}\n`;
    for await (const row of rows) yield `${row}\n`;
  };
  await pipeline(lines, createGzip(), createWriteStream(path.join(folder, tableFile(name))));
}
