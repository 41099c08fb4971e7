import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_CHUNK_BYTES, sha256, splitChunks, verifiedChunk } from '#proto/chunks.ts';
import { FedError } from '#proto/errors.ts';
import { Manifest, TensorType } from '#proto/gen/fed/v1/tensors.ts';
import {
  buildManifest,
  chunkAddresses,
  chunkLength,
  encodeManifest,
  MAX_TENSORS,
  manifestBytes,
  manifestSha256,
  type TensorSource,
  validateManifest,
} from '#proto/manifest.ts';

const hash = (i: number): Buffer => sha256(Buffer.of(i));
const tensor = (over: object = {}) => ({
  name: 'G/w',
  dtype: TensorType.F32,
  shape: [2, 3],
  chunkSha256: [hash(1), hash(2)],
  ...over,
});
/** 24 bytes in chunks of 16. */
const manifest = (over: object = {}, ...more: object[]): Manifest => ({
  chunkBytes: 16,
  tensors: [tensor(over), ...more.map(tensor)],
});

describe('splitChunks', () => {
  it('gives the same bytes in chunks of one size, however they came', async () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(pieces, fc.integer({ min: 1, max: 32 }), async (input, size) => {
        const chunks: Buffer[] = [];
        for await (const chunk of splitChunks(input, size)) chunks.push(chunk);
        expect(Buffer.concat(chunks).equals(Buffer.concat(input))).toBe(true);
        expect(chunks.slice(0, -1).every(chunk => chunk.length === size)).toBe(true);
        expect(chunks.every(chunk => chunk.length > 0 && chunk.length <= size)).toBe(true);
      }),
    );
  });
});

describe('verifiedChunk', () => {
  it('lets through only bytes that are what their name says, within the limit', () => {
    const data = Buffer.from('weights');
    expect(verifiedChunk({ sha256: sha256(data), data }).data).toBe(data);
    const refused: [Parameters<typeof verifiedChunk>[0], string][] = [
      [undefined, 'MESSAGE_INVALID'],
      [{ sha256: sha256(data), data: Buffer.from('Weights') }, 'MESSAGE_INVALID'],
      [{ sha256: Buffer.alloc(20), data }, 'MESSAGE_INVALID'],
      [{ sha256: sha256(Buffer.alloc(0)), data: Buffer.alloc(0) }, 'MESSAGE_INVALID'],
      [{ sha256: hash(1), data: Buffer.alloc(MAX_CHUNK_BYTES + 1) }, 'LIMIT_EXCEEDED'],
    ];
    for (const [chunk, code] of refused) {
      expect(() => verifiedChunk(chunk)).toThrow(expect.objectContaining({ code }));
    }
  });
});

describe('validateManifest', () => {
  it('accepts what is well-formed: no tensors, scalars, empty dimensions', () => {
    expect(validateManifest({ chunkBytes: 1, tensors: [] }).tensors).toEqual([]);
    validateManifest(manifest());
    validateManifest(
      manifest({ shape: [], chunkSha256: [hash(1)] }, { name: 'a/b' + 'c', shape: [0, 5], chunkSha256: [] }),
    );
  });

  const cases: [string, Manifest | undefined, 'MESSAGE_INVALID' | 'LIMIT_EXCEEDED'][] = [
    ['none', undefined, 'MESSAGE_INVALID'],
    ['no chunk size', { chunkBytes: 0, tensors: [] }, 'MESSAGE_INVALID'],
    ['chunks beyond 4 MiB', { chunkBytes: MAX_CHUNK_BYTES + 1, tensors: [] }, 'MESSAGE_INVALID'],
    [
      'too many tensors',
      { chunkBytes: 1, tensors: Array.from({ length: MAX_TENSORS + 1 }, () => tensor()) },
      'LIMIT_EXCEEDED',
    ],
    ['an empty name', manifest({ name: '' }), 'MESSAGE_INVALID'],
    ['a name with a space', manifest({ name: 'G w' }), 'MESSAGE_INVALID'],
    ['a name that climbs', manifest({ name: '../key' }), 'MESSAGE_INVALID'],
    ['a name too long', manifest({ name: 'a'.repeat(201) }), 'MESSAGE_INVALID'],
    ['a name twice', manifest({}, {}), 'MESSAGE_INVALID'],
    ['names out of order', manifest({}, { name: 'F/w' }), 'MESSAGE_INVALID'],
    ['no element type', manifest({ dtype: TensorType.UNSPECIFIED }), 'MESSAGE_INVALID'],
    ['an unknown element type', manifest({ dtype: 9 }), 'MESSAGE_INVALID'],
    ['rank 7', manifest({ shape: [1, 1, 1, 1, 1, 1, 6] }), 'LIMIT_EXCEEDED'],
    ['a shape beyond 2^53', manifest({ shape: [2 ** 31, 2 ** 31] }), 'LIMIT_EXCEEDED'],
    ['a shape beyond the total', manifest({ shape: [2 ** 30] }), 'LIMIT_EXCEEDED'],
    ['one chunk too few', manifest({ chunkSha256: [hash(1)] }), 'MESSAGE_INVALID'],
    ['one chunk too many', manifest({ chunkSha256: [hash(1), hash(2), hash(3)] }), 'MESSAGE_INVALID'],
    ['a short hash', manifest({ chunkSha256: [hash(1), Buffer.alloc(31)] }), 'MESSAGE_INVALID'],
  ];
  it.each(cases)('refuses %s', (_name, value, code) => {
    expect(() => validateManifest(value)).toThrow(expect.objectContaining({ name: 'FedError', code }));
  });

  it('bounds the sum of tensors, not only each', () => {
    const two = manifest({}, { name: 'G/x' });
    expect(() => validateManifest(two, { maxTotalBytes: 47 })).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED' }),
    );
    expect(validateManifest(two, { maxTotalBytes: 48 })).toBe(two);
  });

  it('any decodable bytes are a manifest that passes or a FedError', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat({ max: 120 }), fc.nat({ max: 255 })), { maxLength: 5 }), edits => {
        const bytes = encodeManifest(manifest({}, { name: 'G/x' }));
        for (const [at, value] of edits) bytes[at % bytes.length] = value;
        let decoded: Manifest;
        try {
          decoded = Manifest.decode(bytes);
        } catch {
          return;
        }
        try {
          validateManifest(decoded);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(FedError);
        }
      }),
    );
  });
});

describe('buildManifest', () => {
  const source = (name: string, bytes: Uint8Array): TensorSource => ({
    name,
    dtype: 'U8',
    shape: [bytes.length],
    bytes: [bytes],
  });

  it("makes a valid, sorted manifest whose chunks are the tensors' bytes", async () => {
    const tensors = fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), fc.uint8Array({ maxLength: 50 }), { maxKeys: 5 });
    await fc.assert(
      fc.asyncProperty(tensors, fc.integer({ min: 1, max: 20 }), async (contents, chunkBytes) => {
        const store = new Map<string, Buffer>();
        const built = await buildManifest(
          Object.entries(contents).map(([name, bytes]) => source(name, bytes)),
          (address, data) => void store.set(address.toString('hex'), Buffer.from(data)),
          chunkBytes,
        );
        validateManifest(built);
        expect(chunkAddresses(built).sort()).toEqual([...store.keys()].sort());
        for (const entry of built.tensors) {
          const chunks = entry.chunkSha256.map(address => store.get(address.toString('hex')) ?? Buffer.alloc(0));
          expect(chunks.map(chunk => chunk.length)).toEqual(chunks.map((_, i) => chunkLength(entry, i, chunkBytes)));
          expect(Buffer.concat(chunks).equals(contents[entry.name] ?? Buffer.alloc(0))).toBe(true);
        }
        expect(manifestBytes(built)).toBe(Object.values(contents).reduce((sum, bytes) => sum + bytes.length, 0));
      }),
    );
  });

  it('refuses data of another size than the shape', async () => {
    const short: TensorSource = { name: 'a', dtype: 'F32', shape: [2], bytes: [new Uint8Array(7)] };
    await expect(buildManifest([short], () => {})).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
  });

  it('hashes the same whatever order the tensors came in, and otherwise when one bit differs', async () => {
    const [a, b] = [source('a', Uint8Array.of(1)), source('b', Uint8Array.of(2))];
    const build = (list: TensorSource[]) => buildManifest(list, () => {});
    const one = manifestSha256(await build([a, b]));
    expect(manifestSha256(await build([b, a])).equals(one)).toBe(true);
    expect(manifestSha256(await build([a, source('b', Uint8Array.of(3))])).equals(one)).toBe(false);
    const unsorted = { chunkBytes: 1, tensors: [tensor({ name: 'z' }), tensor({ name: 'a' })] };
    expect(
      manifestSha256(unsorted).equals(manifestSha256({ ...unsorted, tensors: unsorted.tensors.toReversed() })),
    ).toBe(true);
  });
});
