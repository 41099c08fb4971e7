/** The record of everything that left: kind, bytes, hash, chained. Written before the bytes go, so that a crash leaves out none. */
import { sha256 } from '#proto/chunks.ts';
import type { EgressKind } from './egress-kinds.ts';
import { HashChain, readChain } from './hash-chain.ts';
import { sitePaths } from './state.ts';

export interface EgressItem {
  readonly kind: EgressKind;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

export interface EgressLine extends EgressItem {
  /** How often exactly these bytes left. */
  readonly times: number;
}

export type EgressTotals = Partial<Record<EgressKind, { items: number; bytes: number }>>;

export class EgressLog {
  readonly #chain: HashChain;
  readonly #nowMs: () => number;
  readonly #totals: EgressTotals = {};

  private constructor(chain: HashChain, nowMs: () => number) {
    this.#chain = chain;
    this.#nowMs = nowMs;
  }

  /** @throws FedError FILE_CORRUPT when the log was tampered with */
  static async open(dir: string, nowMs: () => number): Promise<EgressLog> {
    return new EgressLog(await HashChain.open(sitePaths(dir).egressLog), nowMs);
  }

  /** @param hash SHA-256 of `data` where it is known already */
  async record(kind: EgressKind, data: Uint8Array, hash: Uint8Array = sha256(data)): Promise<void> {
    const item: EgressItem = { kind, bytes: data.byteLength, sha256: Buffer.from(hash).toString('hex') };
    await this.#chain.append({ ...item }, this.#nowMs());
    const total = this.#totals[kind] ?? { items: 0, bytes: 0 };
    this.#totals[kind] = { items: total.items + 1, bytes: total.bytes + item.bytes };
  }

  /** Since the agent started. */
  get totals(): EgressTotals {
    return structuredClone(this.#totals);
  }

  close(): Promise<void> {
    return this.#chain.close();
  }
}

/**
 * Everything that ever left this site, a line for each kind and hash, in the order of first leaving.
 * @throws FedError FILE_CORRUPT when the log was tampered with
 */
export async function egressSummary({ dir }: { dir: string }): Promise<EgressLine[]> {
  const lines = new Map<string, EgressLine>();
  for await (const { record } of readChain(sitePaths(dir).egressLog)) {
    const item = record as unknown as EgressItem;
    const key = `${item.kind} ${item.sha256}`;
    const times = (lines.get(key)?.times ?? 0) + 1;
    lines.set(key, { kind: item.kind, bytes: item.bytes, sha256: item.sha256, times });
  }
  return [...lines.values()];
}
