import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contentSha256, requireContent, withContentHash } from '#model/checkpoint/content-hash.ts';
import { openSafetensors, writeSafetensors } from '#model/checkpoint/safetensors.ts';
import { sha256 } from '#proto/chunks.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const data = Buffer.from(Float32Array.from([1, -2, 3, 4.5]).buffer);
const CHUNK = 12;
const tensors = [
  {
    name: 'G/w',
    dtype: 'F32' as const,
    shape: [4],
    chunks: [data.subarray(0, CHUNK), data.subarray(CHUNK)].map(chunk => sha256(chunk).toString('hex')),
  },
];

async function written(): Promise<string> {
  const path = join(await temporaryFolder(), 'file.safetensors');
  const metadata = withContentHash({ what: 'a test' }, tensors, CHUNK);
  await writeSafetensors(path, [{ name: 'G/w', dtype: 'F32', shape: [4], data }], metadata);
  return path;
}

const check = async (path: string) => {
  const file = await openSafetensors(path);
  return requireContent(file, path).finally(() => file.close());
};

describe('the hash of the content', () => {
  it('is checked with the chunks that it was made of', async () => {
    expect(await check(await written())).toEqual(tensors);
  });

  it('notices any byte of the metadata or of the tensors that is another', async () => {
    const path = await written();
    const whole = await readFile(path);
    const headerEnd = whole.lastIndexOf('}');
    const dataStart = whole.length - data.length;
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        // Other white space behind the header says nothing else.
        fc.pre(at <= headerEnd || at >= dataStart);
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] as number) ^ change;
        await writeFile(path, changed);
        await expect(check(path)).rejects.toMatchObject({ code: 'FILE_CORRUPT' });
      }),
      {
        numRuns: 60,
        examples: [
          [whole.indexOf('a test'), 1],
          [whole.length - 1, 128],
          [8, 1],
        ],
      },
    );
  });

  it('refuses a file without one, and says what to do', async () => {
    const path = join(await temporaryFolder(), 'file.safetensors');
    await writeSafetensors(path, [{ name: 'G/w', dtype: 'F32', shape: [4], data }], { what: 'a test' });
    await expect(check(path)).rejects.toMatchObject({
      code: 'FILE_CORRUPT',
      message: expect.stringContaining('content_sha256'),
      remedy: expect.stringMatching(/./),
    });
  });

  it('does not depend on the order of keys or tensors', () => {
    const other = { name: 'A', dtype: 'F32' as const, shape: [0], chunks: [] };
    expect(contentSha256({ a: '1', b: '2' }, [...tensors, other])).toBe(
      contentSha256({ b: '2', a: '1' }, [other, ...tensors]),
    );
    expect(contentSha256({ a: '1', content_sha256: 'x' }, [])).toBe(contentSha256({ a: '1' }, []));
  });
});
