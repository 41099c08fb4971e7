/** The peak resident memory of a process, as Linux counts it. */
import { readFile } from 'node:fs/promises';

/** VmHWM of /proc/<pid>/status in bytes; null where there is no such file (another system, or the process is gone). */
export async function peakRssBytes(pid: number): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return parsePeakRss(status);
}

/** @param status content of /proc/<pid>/status */
export function parsePeakRss(status: string): number | null {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return kibibytes === undefined ? null : Number(kibibytes) * 1024;
}

/** Asks every second while the process lives: the high-water mark only grows, so the last answer is the peak. */
export function watchPeakRss(pid: number): () => Promise<number> {
  let peak = 0;
  const ask = async (): Promise<void> => {
    peak = Math.max(peak, (await peakRssBytes(pid)) ?? 0);
  };
  const timer = setInterval(() => void ask(), 1_000);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await ask();
    return peak;
  };
}
