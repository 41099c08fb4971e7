import { constants, generateKeyPairSync, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#proto/chunks.ts';
import { SubmitResultRequest } from '#proto/gen/fed/v1/federation.ts';
import { TensorType } from '#proto/gen/fed/v1/tensors.ts';
import { resultDigest, signDigest, verifyDigest } from '#proto/signing.ts';

const pem = (type: 'rsa' | 'ed25519') => {
  const pair = type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519');
  return {
    privatePem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
};
const site = pem('rsa');
const tensor = (name: string) => ({
  name,
  dtype: TensorType.F32,
  shape: [1],
  chunkSha256: [sha256(Buffer.from(name))],
});
const request = (over: object = {}): SubmitResultRequest => ({
  taskId: 'run/adversarial/1/train/a',
  outcome: {
    $case: 'train',
    value: {
      contribution: { chunkBytes: 16, tensors: [tensor('F/x'), tensor('G/x')] },
      records: [
        { module: 'F/decoder', records: 5n },
        { module: 'G', records: 7n },
      ],
      metricsJson: '{}',
      ...over,
    },
  },
  signature: Buffer.alloc(0),
});

describe('resultDigest', () => {
  it('does not depend on the signature, on the order of tensors, or on a trip over the wire', () => {
    const digest = resultDigest(request());
    expect(digest).toHaveLength(32);
    expect(resultDigest({ ...request(), signature: Buffer.from('anything') })).toEqual(digest);
    const reordered = request({
      contribution: { chunkBytes: 16, tensors: [tensor('G/x'), tensor('F/x')] },
      records: [
        { module: 'G', records: 7n },
        { module: 'F/decoder', records: 5n },
      ],
    });
    expect(resultDigest(reordered)).toEqual(digest);
    expect(resultDigest(SubmitResultRequest.decode(SubmitResultRequest.encode(request()).finish()))).toEqual(digest);
  });

  it('changes with the task, the weights, the record counts and the metrics', () => {
    const digest = resultDigest(request()).toString('hex');
    const others = [
      { ...request(), taskId: 'run/adversarial/2/train/a' },
      request({ contribution: { chunkBytes: 16, tensors: [tensor('F/x'), tensor('G/y')] } }),
      request({ records: [{ module: 'G', records: 8n }] }),
      request({ metricsJson: '{"loss":1}' }),
      { ...request(), outcome: { $case: 'failure' as const, value: { code: 'INTERNAL', message: '' } } },
    ].map(other => resultDigest(other).toString('hex'));
    expect(new Set([digest, ...others]).size).toBe(others.length + 1);
  });
});

describe('signDigest and verifyDigest', () => {
  const digest = resultDigest(request());
  const signature = signDigest(site.privatePem, digest);

  it('is RSA-PSS with SHA-256 and a salt of 32 bytes, as any other implementation checks it', () => {
    const key = { key: site.publicPem, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    expect(verify('sha256', digest, key, signature)).toBe(true);
  });

  it('accepts the key over the digest and nothing else', () => {
    expect(verifyDigest(site.publicPem, digest, signature)).toBe(true);
    const flipped = Buffer.from(signature);
    flipped[10] = (flipped[10] ?? 0) ^ 1;
    expect(verifyDigest(site.publicPem, digest, flipped)).toBe(false);
    expect(verifyDigest(site.publicPem, sha256(digest), signature)).toBe(false);
    expect(verifyDigest(pem('rsa').publicPem, digest, signature)).toBe(false);
    expect(verifyDigest(site.publicPem, digest, Buffer.alloc(0))).toBe(false);
    expect(verifyDigest('no key', digest, signature)).toBe(false);
    expect(verifyDigest(pem('ed25519').publicPem, digest, signature)).toBe(false);
  });

  it('says that only RSA keys sign', () => {
    expect(() => signDigest(pem('ed25519').privatePem, digest)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
    expect(() => signDigest('nonsense', digest)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});
