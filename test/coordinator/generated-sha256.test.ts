import { describe, expect, it } from 'vitest';
import { generatedSha256 } from '#coordinator/generated-sha256.ts';
import { auditSite } from '#privacy/audit/site-audit.ts';
import { resolveThresholds } from '#privacy/audit/thresholds.ts';
import type { TensorEntry } from '#proto/gen/fed/v1/tensors.ts';
import { buildManifest } from '#proto/manifest.ts';

const SIDE = 8;
const reports = ['no acute disease .', 'größer "quoted"\\n', ''];
const images = Buffer.from(Array.from({ length: reports.length * SIDE * SIDE }, (_, i) => (i * 37) % 251));

async function stored(lines: string, labels = Buffer.from([0, 1, 1])) {
  const chunks = new Map<string, Buffer>();
  const text = Buffer.from(lines);
  const manifest = await buildManifest(
    [
      { name: 'images', dtype: 'U8', shape: [reports.length, SIDE, SIDE, 1], bytes: [images] },
      { name: 'labels', dtype: 'U8', shape: [labels.length, 1], bytes: [labels] },
      { name: 'reports', dtype: 'U8', shape: [text.length], bytes: [text] },
    ],
    (hash, data) => void chunks.set(hash.toString('hex'), data),
    // Chunks that cut through lines and characters.
    7,
  );
  return generatedSha256(manifest, async function* ({ chunkSha256 }: TensorEntry) {
    for (const address of chunkSha256) yield chunks.get(address.toString('hex')) as Buffer;
  });
}

const line = (report: string): string => `${JSON.stringify({ report })}\n`;

describe('the hash of the generated set', () => {
  it('is the one that a site puts into its audit', async () => {
    const patients = ['p1', 'p2', 'p3'];
    const records = {
      images: Buffer.alloc(images.length, 9),
      patients,
      studies: patients,
      reports: [null, null, null],
    };
    const audit = await auditSite({
      resolution: SIDE,
      imageChannels: 1,
      generated: { images, reports },
      train: records,
      holdout: { ...records, patients: ['h1', 'h2', 'h3'], studies: ['h1', 'h2', 'h3'] },
      seed: 1,
      thresholds: resolveThresholds({ plants: 59, seeds: 1, trainControls: 0 }),
    });
    expect(await stored(reports.map(line).join(''))).toBe(audit.generatedSha256);
  });

  it('is of one report a pair, or of none', async () => {
    await expect(stored(line('a'))).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
    await expect(stored('{"report":1}\n'.repeat(3))).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
    await expect(stored('x\n'.repeat(3))).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
  });

  it('exists only where the audit has seen every byte', async () => {
    const [a, b, c] = reports.map(line) as [string, string, string];
    for (const hidden of [
      a.replace('}', ',"note":"p1234"}') + b + c,
      a.replace(':', ': ') + b + c,
      `${a}${b}\n${c}`,
      `${a}${b}${c}{`,
    ]) {
      await expect(stored(hidden)).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
    }
    await expect(stored(a + b + c, Buffer.from([0, 2, 1]))).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
  });
});
