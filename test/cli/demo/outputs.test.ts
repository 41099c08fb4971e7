import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demoRunConfig } from '#cli/demo/demo-config.ts';
import { createFolders } from '#cli/demo/folders.ts';
import { writeOutputs } from '#cli/demo/outputs.ts';
import { RunRecord } from '#cli/demo/run-record.ts';
import { outputFolder } from '#coordinator/output.ts';
import { writeSafetensors } from '#model/checkpoint/safetensors.ts';
import { SyntheticWriter } from '#model/generation/synthetic-file.ts';
import { decide } from '#privacy/audit/gate.ts';
import { resolveThresholds } from '#privacy/audit/thresholds.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'outputs-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('writeOutputs', () => {
  it.each(['insufficient-evidence', 'pass'] as const)(
    'with verdict %s puts model, pairs and gallery where they belong',
    async verdict => {
      const runFolder = join(dir, `run-${verdict}`);
      const from = join(runFolder, outputFolder(verdict));
      await mkdir(from, { recursive: true });
      const modelPath = join(from, 'model.safetensors');
      const syntheticPath = join(from, 'synthetic.safetensors');
      await writeSafetensors(modelPath, [{ name: 'G/w', dtype: 'F32', shape: [2], data: new Uint8Array(8) }]);
      const writer = await SyntheticWriter.create(syntheticPath, { resolution: 32, imageChannels: 1, labels: 14 });
      const labels = new Uint8Array(2 * 14);
      labels[1] = 1;
      await writer.append({
        pixels: new Uint8Array(2 * 32 * 32).fill(99),
        labels,
        reports: ['the heart is enlarged .', ''],
      });
      await writer.finish();
      const context = {
        modelSha256: hash(await readFile(modelPath)),
        syntheticSha256: hash(await readFile(syntheticPath)),
        runSha256: 'a'.repeat(64),
        thresholds: resolveThresholds(),
      };
      await writeFile(join(from, 'audit.json'), JSON.stringify(decide([{ site: 'hospital-1', audit: null }], context)));
      await writeFile(join(from, 'run.json'), JSON.stringify({ createdAtMs: 0 }));

      const folders = await createFolders(join(dir, `out-${verdict}`));
      const config = demoRunConfig({ sites: 2, rounds: 1, steps: 1, preset: 'phantom32', seed: 1 });
      const outputs = await writeOutputs({ folders, config, record: new RunRecord(), runFolder, verdict });

      const place = join(folders.out, verdict === 'pass' ? 'release' : 'withheld');
      expect(outputs.model.path).toBe(join(place, 'model.safetensors'));
      expect(outputs.gallery).toBe(join(place, 'gallery.png'));
      expect(hash(await readFile(outputs.model.path))).toBe(outputs.model.sha256);
      expect(hash(await readFile(outputs.synthetic.path))).toBe(outputs.synthetic.sha256);
      expect(outputs.synthetic.pairs).toBe(2);
      expect((await stat(place)).mode & 0o777).toBe(0o700);
      expect((await sharp(outputs.gallery).metadata()).format).toBe('png');
      expect(await readFile(outputs.report, 'utf8')).toMatch(/^<!doctype html>/i);
      expect(outputs.audit).toMatchObject({ verdict, path: join(folders.out, 'audit.json') });
    },
  );
});
