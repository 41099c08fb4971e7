import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  MAX_HEADER_BYTES,
  openSafetensors,
  type TensorToWrite,
  writeSafetensors,
} from '#model/checkpoint/safetensors.ts';
import { FedError } from '#proto/errors.ts';
import { elementBytes, elementCount } from '#proto/manifest.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'safetensors-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const floats = (...values: number[]): Uint8Array => new Uint8Array(new Float32Array(values).buffer);
const raw = (header: string | object, data: Uint8Array = new Uint8Array()): Buffer => {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, data]);
};
async function openBytes(bytes: Uint8Array) {
  const path = join(dir, 'case.safetensors');
  await writeFile(path, bytes);
  return openSafetensors(path);
}

describe('writeSafetensors', () => {
  it('writes the bytes that the format prescribes', async () => {
    const path = join(dir, 'golden.safetensors');
    await writeSafetensors(
      path,
      [
        { name: 'b', dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) },
        { name: 'a', dtype: 'F32', shape: [1, 2], data: floats(1, -2) },
      ],
      { format: 'pt' },
    );
    const bytes = await readFile(path);
    const headerLength = Number(bytes.readBigUInt64LE());
    expect(headerLength % 8).toBe(0);
    expect(
      bytes
        .subarray(8, 8 + headerLength)
        .toString()
        .trimEnd(),
    ).toBe(
      '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},' +
        '"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}',
    );
    expect(bytes.subarray(8 + headerLength).toString('hex')).toBe('0000803f000000c0010203');
  });

  it('leaves the old file and no partial one when the data has another size than the shape', async () => {
    const folder = await mkdtemp(join(dir, 'atomic-'));
    const path = join(folder, 'w.safetensors');
    await writeSafetensors(path, [{ name: 'a', dtype: 'F32', shape: [2], data: floats(1, 2) }]);
    const before = await readFile(path);
    async function* endless() {
      for (;;) yield floats(1);
    }
    for (const data of [floats(1), floats(1, 2, 3), endless()]) {
      await expect(writeSafetensors(path, [{ name: 'a', dtype: 'F32', shape: [2], data }])).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      });
    }
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(folder)).toEqual(['w.safetensors']);
  });

  it('refuses a name twice', async () => {
    const one: TensorToWrite = { name: 'a', dtype: 'U8', shape: [1], data: Uint8Array.of(1) };
    await expect(writeSafetensors(join(dir, 'twice'), [one, one])).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('round trip', () => {
  const tensor = fc
    .record({
      dtype: fc.constantFrom('F32' as const, 'I32' as const, 'U8' as const),
      shape: fc.array(fc.nat({ max: 4 }), { maxLength: 4 }),
    })
    .chain(({ dtype, shape }) => {
      const length = elementCount(shape) * elementBytes(dtype);
      return fc.uint8Array({ minLength: length, maxLength: length }).map(data => ({ dtype, shape, data }));
    });
  it('gives back every tensor, bytes and metadata, whole or streamed in small pieces', async () => {
    const names = fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('__proto__', 'constructor', 'G/é/w'));
    const files = fc.dictionary(
      names.filter(name => name !== '__metadata__'),
      tensor,
      { maxKeys: 6 },
    );
    await fc.assert(
      fc.asyncProperty(files, fc.dictionary(fc.string(), fc.string()), async (tensors, metadata) => {
        const path = join(dir, 'trip.safetensors');
        async function* pieces(data: Uint8Array) {
          for (let i = 0; i < data.length; i += 7) yield data.subarray(i, i + 7);
        }
        const list = Object.entries(tensors).map(([name, t]) => ({ name, ...t, data: pieces(t.data) }));
        await writeSafetensors(path, list, metadata);
        const file = await openSafetensors(path);
        try {
          expect([...file.entries.keys()]).toEqual(Object.keys(tensors).sort());
          expect({ ...file.metadata }).toEqual({ ...metadata });
          for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
            expect(file.entries.get(name)).toMatchObject({ dtype, shape, byteLength: data.length });
            expect(Buffer.from(await file.read(name)).equals(data)).toBe(true);
            const streamed: Uint8Array[] = [];
            for await (const piece of file.stream(name, 5)) streamed.push(piece);
            expect(Buffer.concat(streamed).equals(data)).toBe(true);
          }
        } finally {
          await file.close();
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('openSafetensors', () => {
  const entry = (data_offsets: unknown, shape: unknown = [1], dtype: unknown = 'F32') => ({
    dtype,
    shape,
    data_offsets,
  });
  const four = new Uint8Array(4);
  const cases: Record<string, Buffer> = {
    'an empty file': Buffer.alloc(0),
    'a file shorter than its length field': Buffer.alloc(7),
    'a header longer than the file': raw('{}').subarray(0, 9),
    'a header that claims 2^63 bytes': Buffer.from('00000000000000807b7d', 'hex'),
    'a header beyond the limit': Buffer.concat([
      (() => {
        const length = Buffer.alloc(8);
        length.writeBigUInt64LE(BigInt(MAX_HEADER_BYTES + 1));
        return length;
      })(),
      Buffer.alloc(MAX_HEADER_BYTES + 1, ' '),
    ]),
    'no JSON': raw('{nope'),
    'a list': raw('[]'),
    'a number': raw('1'),
    'a byte order mark': raw('\ufeff{}'),
    'no UTF-8': raw('{}').fill(0xff, 9, 10),
    'metadata of numbers': raw({ __metadata__: { a: 1 } }),
    'metadata as a list': raw({ __metadata__: ['a'] }),
    'a tensor that is null': raw({ a: null }),
    'an unknown type': raw({ a: entry([0, 4], [1], 'BF16') }, four),
    'a negative dimension': raw({ a: entry([0, 4], [-1]) }, four),
    'a fraction as dimension': raw({ a: entry([0, 4], [1.5]) }, four),
    'a shape whose product overflows': raw({ a: entry([0, 4], [2 ** 40, 2 ** 40]) }, four),
    'one offset only': raw({ a: entry([0]) }, four),
    'offsets backwards': raw({ a: entry([4, 0]) }, four),
    'a size other than the shape': raw({ a: entry([0, 8]) }, new Uint8Array(8)),
    'an end beyond the file': raw({ a: entry([0, 8], [2]) }, four),
    'two tensors on the same bytes': raw({ a: entry([0, 4]), b: entry([0, 4]) }, four),
    'overlapping tensors': raw({ a: entry([0, 8], [2]), b: entry([4, 8]) }, new Uint8Array(8)),
    'a hole before the first tensor': raw({ a: entry([4, 8]) }, new Uint8Array(8)),
    'bytes after the last tensor': raw({ a: entry([0, 4]) }, new Uint8Array(5)),
  };
  it.each(Object.entries(cases))('refuses %s as FILE_CORRUPT', async (_name, bytes) => {
    await expect(openBytes(bytes)).rejects.toMatchObject({ name: 'FedError', code: 'FILE_CORRUPT' });
  });

  it('says NOT_FOUND without the file, and for a tensor it does not hold', async () => {
    await expect(openSafetensors(join(dir, 'none'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const file = await openBytes(raw({ a: entry([0, 4]) }, four));
    await expect(file.read('b')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await file.close();
  });

  it('says FILE_CORRUPT when the file shrinks while it is open', async () => {
    const file = await openBytes(raw({ a: entry([0, 4]) }, four));
    await writeFile(join(dir, 'case.safetensors'), '');
    await expect(file.read('a')).rejects.toMatchObject({ code: 'FILE_CORRUPT' });
    await file.close();
  });

  it('opens a damaged file or throws FedError FILE_CORRUPT, never anything else', async () => {
    const valid = raw(
      { __metadata__: { k: 'v' }, a: entry([0, 4]), b: entry([4, 6], [2], 'U8') },
      Uint8Array.of(0, 0, 128, 63, 1, 2),
    );
    const damage = fc.array(fc.tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(damage, fc.nat({ max: valid.length }), fc.boolean(), async (edits, cut, truncate) => {
        const bytes = Buffer.from(valid);
        for (const [at, value] of edits) bytes[at] = value;
        try {
          const file = await openBytes(truncate ? bytes.subarray(0, cut) : bytes);
          for (const name of file.entries.keys()) await file.read(name);
          await file.close();
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(FedError);
          expect((thrown as FedError).code).toBe('FILE_CORRUPT');
        }
      }),
      { numRuns: 300 },
    );
  });
});
