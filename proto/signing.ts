/** The site key's signature over a result, so that neither the transport nor the coordinator can alter what a site said. */
import { constants, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { sha256 } from './chunks.ts';
import { FedError } from './errors.ts';
import { SubmitResultRequest } from './gen/fed/v1/federation.ts';
import { canonicalManifest } from './manifest.ts';

/**
 * SHA-256 over the request's deterministic encoding without its signature. ts-proto writes every field in tag order and
 * omits defaults, and manifests are sorted first, so both ends get the same bytes from the same message.
 * @returns 32 bytes
 */
export function resultDigest(request: SubmitResultRequest): Buffer {
  const unsigned: SubmitResultRequest = {
    ...request,
    outcome: canonicalOutcome(request.outcome),
    signature: Buffer.alloc(0),
  };
  return sha256(SubmitResultRequest.encode(unsigned).finish());
}

function canonicalOutcome(outcome: SubmitResultRequest['outcome']): SubmitResultRequest['outcome'] {
  if (outcome?.$case === 'train') {
    const { contribution, records } = outcome.value;
    return {
      ...outcome,
      value: {
        ...outcome.value,
        contribution: contribution && canonicalManifest(contribution),
        records: [...records].sort((a, b) => (a.module < b.module ? -1 : a.module > b.module ? 1 : 0)),
      },
    };
  }
  if (outcome?.$case === 'generate') {
    const { synthetic, model } = outcome.value;
    return {
      ...outcome,
      value: { synthetic: synthetic && canonicalManifest(synthetic), model: model && canonicalManifest(model) },
    };
  }
  return outcome;
}

const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } as const;

/** RSA-PSS with SHA-256 (RFC 8017 §8.1), salt as long as the hash. @throws FedError CONFIG_INVALID on a key that is no RSA key */
export function signDigest(privateKeyPem: string, digest: Uint8Array): Buffer {
  try {
    const key = createPrivateKey(privateKeyPem);
    if (key.asymmetricKeyType !== 'rsa') throw new Error(`a key of type ${key.asymmetricKeyType}`);
    return sign('sha256', digest, { key, ...pss });
  } catch (cause) {
    throw new FedError(
      'CONFIG_INVALID',
      `expected an RSA private key in PEM; ${(cause as Error).message}`,
      'enrol again',
      {
        cause,
      },
    );
  }
}

/** True when `signature` is the key's over `digest`; false for anything else, a malformed key or signature included. */
export function verifyDigest(publicKeyPem: string, digest: Uint8Array, signature: Uint8Array): boolean {
  try {
    const key = createPublicKey(publicKeyPem);
    return key.asymmetricKeyType === 'rsa' && verify('sha256', digest, { key, ...pss }, signature);
  } catch {
    return false;
  }
}
