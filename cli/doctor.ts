/** `emixer doctor`: what this machine computes with, and whether it is fit to take part. */
import { statfs } from 'node:fs/promises';
import { totalmem } from 'node:os';
import type { Backend } from '#model/backend/backend.ts';
import { type Check, computeChecks, environmentChecks } from './doctor/checks.ts';
import { loadForDoctor } from './doctor/load.ts';

export interface DoctorReport {
  readonly node: string;
  readonly backend: Omit<Backend, 'tf'>;
  /** Memory that this process may use: the machine's, or its container's limit. */
  readonly memoryBytes: number;
  /** Free on the disk of the working folder. */
  readonly diskBytes: number;
  readonly checks: readonly Check[];
}

/**
 * Loads the backend that the environment leads to, in this process, and computes with it (1-3 s).
 * @param env the environment, for EMIXER_* and the cache's place
 * @param workingFolder its disk is looked at
 * @throws FedError CONFIG_INVALID when EMIXER_BACKEND or EMIXER_THREADS is not readable
 */
export async function doctorReport(
  env: Readonly<Record<string, string | undefined>>,
  workingFolder: string,
): Promise<DoctorReport> {
  const loaded = await loadForDoctor(env);
  const { tf: _, ...backend } = loaded.backend;
  const memoryBytes = availableMemoryBytes();
  const disk = await statfs(workingFolder);
  const diskBytes = disk.bavail * disk.bsize;
  const checks = [
    ...(await environmentChecks({ memoryBytes, diskBytes, workingFolder })),
    ...(await computeChecks(loaded, env)),
  ];
  return { node: process.version, backend, memoryBytes, diskBytes, checks };
}

function availableMemoryBytes(): number {
  // 0, or more than the machine has, where no container limits this process.
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** The report for a person; what is wrong is followed by what to do. */
export function renderDoctor(report: DoctorReport): string {
  const { backend } = report;
  const lines = [
    `Node      ${report.node}`,
    `Backend   ${backend.name} ${backend.version} on ${backend.device}, ${backend.threads} thread(s)`,
    ...backend.rejected.map(({ name, reason }) => `          not ${name}: ${reason}`),
    `Memory    ${gigabytes(report.memoryBytes)}`,
    `Disk      ${gigabytes(report.diskBytes)} free`,
    '',
  ];
  for (const { name, ok, detail, fix } of report.checks) {
    lines.push(`${ok ? 'ok  ' : 'BAD '} ${name}: ${detail}`);
    if (!ok) lines.push(`      fix: ${fix}`);
  }
  return lines.join('\n');
}
