/** A whole training of a tiny model in this process, in a folder of its own. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tensorsOf } from '#model/checkpoint/network-file.ts';
import type { Emixer } from '#model/emixer/emixer.ts';
import { DEFAULT_LIMITS } from '#model/monitoring/collapse.ts';
import { type Samples, TrainingMonitor } from '#model/monitoring/training-monitor.ts';
import { runTraining, type TrainingJob, type TrainingProgress } from '#model/training/engine.ts';
import type { StageSteps } from '#model/training/stages.ts';
import { takeSnapshot } from '#model/training/state-file.ts';
import { tinyData, tinyEmixer } from './tiny-training.ts';

export const stepsOf = (encoder: number | null, report: number | null, adversarial: number | null): StageSteps => ({
  'encoder-pretraining': encoder,
  'report-pretraining': report,
  adversarial,
});

const noPicture = { png: new Uint8Array(0), width: 1, height: 1, channels: 3 as const };

export interface LocalTraining
  extends Partial<Pick<TrainingJob, 'minutes' | 'saveEvery' | 'stopAfter' | 'signal' | 'nowMs'>> {
  readonly folder: string;
  readonly steps: StageSteps;
  readonly model?: Emixer;
  readonly samples?: Partial<Samples>;
  readonly stopOnCollapse?: boolean;
  /** Everything that is said. */
  readonly said?: string[];
}

export interface LocalResult {
  readonly finished: boolean;
  readonly progress: TrainingProgress;
  /** SHA-256 of all networks and of the average, as a file. */
  readonly sha256: string;
}

export async function trainLocally(options: LocalTraining): Promise<LocalResult> {
  const { folder, steps, stopOnCollapse = false, said = [] } = options;
  const model = options.model ?? tinyEmixer();
  const keys = { seed: 7, site: 0 };
  const nowMs = options.nowMs ?? (() => 1_764_000_000_000);
  const monitor = new TrainingMonitor({
    eventsFolder: join(folder, 'events'),
    metricsPath: join(folder, 'metrics.jsonl'),
    keptFolder: join(folder, 'kept-step'),
    keys,
    limits: { ...DEFAULT_LIMITS, warmUpSteps: 0 },
    stopOnCollapse,
    samplesEvery: 2,
    drawSamples: async () => ({ diversity: 1, reports: null, sheet: noPicture, text: '', ...options.samples }),
    nowMs,
    say: line => said.push(line),
  });
  try {
    const { finished, progress, average } = await runTraining({
      model,
      data: monitor.watched(tinyData()),
      keys,
      steps,
      minutes: options.minutes ?? null,
      emaDecay: 0.9999,
      checkpoint: join(folder, 'checkpoint.safetensors'),
      saveEvery: options.saveEvery ?? 1000,
      stopAfter: options.stopAfter ?? null,
      signal: options.signal ?? new AbortController().signal,
      nowMs,
      observer: monitor,
    });
    const path = join(folder, 'all.safetensors');
    await takeSnapshot(tensorsOf([...model.shared, ...model.local, average.parameters]), {}).write(path);
    average.dispose();
    return {
      finished,
      progress,
      sha256: createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    };
  } finally {
    await monitor.close();
    model.dispose();
  }
}
