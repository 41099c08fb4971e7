/** The hash chain of the audit log: each entry's hash covers the one before, so that no entry changes unseen. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '#model/federated.ts';
import type { AuditEntry, AuditRecord, Store } from './store.ts';

/** What the first entry follows. */
export const CHAIN_START = '0'.repeat(64);

/** SHA-256 over the canonical JSON of the entry, its place and the hash before it. */
export function auditHash(seq: number, previousHash: string, { atMs, actor, action, detail }: AuditEntry): string {
  return createHash('sha256').update(canonicalJson({ seq, previousHash, atMs, actor, action, detail })).digest('hex');
}

export type ChainCheck =
  | { readonly valid: true; readonly entries: number; readonly head: string }
  | { readonly valid: false; readonly entries: number; readonly brokenAt: number; readonly problem: string };

const PAGE = 1_000;

/**
 * Recomputes the whole chain. It shows changed, removed and inserted entries; whether the end was cut off shows only
 * against a head that was noted before (the head is printed for that).
 */
export async function verifyAuditChain(store: Store): Promise<ChainCheck> {
  let head = CHAIN_START;
  let entries = 0;
  for (;;) {
    const page = await store.auditLog(entries, PAGE);
    for (const record of page) {
      const problem = problemOf(record, entries + 1, head);
      if (problem !== undefined) return { valid: false, entries, brokenAt: record.seq, problem };
      head = record.hash;
      entries++;
    }
    if (page.length < PAGE) return { valid: true, entries, head };
  }
}

function problemOf(record: AuditRecord, seq: number, head: string): string | undefined {
  if (record.seq !== seq) return `entry ${seq} is missing`;
  if (record.previousHash !== head) return `entry ${seq} does not follow the one before`;
  return auditHash(seq, head, record) === record.hash ? undefined : `entry ${seq} was changed`;
}
