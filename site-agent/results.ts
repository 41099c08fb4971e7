/** Finished results on disk: a task that comes again is answered from here, not computed again. */
import { stat } from 'node:fs/promises';
import { type Static, Type } from 'typebox';
import { SubmitResultRequest } from '#proto/gen/fed/v1/federation.ts';
import { parseWith } from '#proto/validate.ts';
import { type RunPaths, readIfThere, writePrivateFile } from './state.ts';
import type { TaskResult } from './tasks/task.ts';

export interface UploadFile {
  readonly kind: 'weights' | 'synthetic';
  readonly path: string;
}

export interface FinishedResult {
  readonly outcome: TaskResult;
  /** Uploaded before the result is submitted. */
  readonly files: readonly UploadFile[];
}

const StoredSchema = Type.Object(
  {
    taskId: Type.String(),
    /** SubmitResultRequest without its signature, base64. */
    request: Type.String(),
    files: Type.Array(
      Type.Object(
        { kind: Type.Union([Type.Literal('weights'), Type.Literal('synthetic')]), path: Type.String() },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);

export async function saveResult(paths: RunPaths, taskId: string, { outcome, files }: FinishedResult): Promise<void> {
  const bytes = SubmitResultRequest.encode({ taskId, outcome, signature: Buffer.alloc(0) }).finish();
  const stored: Static<typeof StoredSchema> = {
    taskId,
    request: Buffer.from(bytes).toString('base64'),
    files: [...files],
  };
  await writePrivateFile(paths.result(taskId), JSON.stringify(stored));
}

/** The result of this very task, or undefined: then it is computed. A file of it that is gone counts as no result. */
export async function loadResult(paths: RunPaths, taskId: string): Promise<FinishedResult | undefined> {
  try {
    const text = await readIfThere(paths.result(taskId));
    if (text === undefined) return undefined;
    const stored = parseWith(StoredSchema, JSON.parse(text), 'stored result');
    const { outcome } = SubmitResultRequest.decode(Buffer.from(stored.request, 'base64'));
    if (stored.taskId !== taskId || outcome === undefined || outcome.$case === 'failure') return undefined;
    for (const { path } of stored.files) await stat(path);
    return { outcome, files: stored.files };
  } catch {
    // A damaged record costs the work of one task; it must not stop the site for ever.
    return undefined;
  }
}
