/** What the coordinator keeps in its database. One contract suite (test/contract) runs over every implementation. */
import type { RunEvent } from '#coordinator/rounds/events.ts';

/** One certificate of a site. A site enrolled again (rotation) has several. */
export interface SiteCertificate {
  readonly site: string;
  /** Lower-case hexadecimal without leading zeros. */
  readonly serial: string;
  /** SHA-256 of the certificate, as node:tls prints it. */
  readonly fingerprint: string;
  readonly enrolledAtMs: number;
  readonly revokedAtMs: number | null;
}

export interface InviteRow {
  readonly tokenSha256: string;
  readonly site: string;
  readonly expiresAtMs: number;
  readonly usedAtMs: number | null;
}

export interface RunRow {
  readonly runId: string;
  readonly createdAtMs: number;
  /** Null while it goes on. */
  readonly endedAtMs: number | null;
}

export interface StoredEvent {
  readonly seq: number;
  readonly event: RunEvent;
}

/** An entry of the hash-chained log of who did what. */
export interface AuditEntry {
  readonly atMs: number;
  /** "operator", "coordinator" or "site:<name>". */
  readonly actor: string;
  readonly action: string;
  /** Flat facts: names, hashes, counts. Never patient data. */
  readonly detail: Readonly<Record<string, string | number | boolean | null>>;
}

export interface AuditRecord extends AuditEntry {
  readonly seq: number;
  readonly previousHash: string;
  readonly hash: string;
}

export type Redemption = 'enrolled' | 'unknown' | 'used' | 'expired';

export interface Store {
  addInvite(invite: Omit<InviteRow, 'usedAtMs'>, audit: AuditEntry): Promise<void>;
  invite(tokenSha256: string): Promise<InviteRow | undefined>;
  /** Uses the invite up and records the certificate, both or neither. */
  redeemInvite(
    tokenSha256: string,
    certificate: Omit<SiteCertificate, 'revokedAtMs'>,
    audit: AuditEntry,
  ): Promise<Redemption>;
  certificate(serial: string): Promise<SiteCertificate | undefined>;
  certificates(): Promise<SiteCertificate[]>;
  /** Revokes a serial, or every certificate of a site; returns the serials that were not revoked before. */
  revoke(siteOrSerial: string, atMs: number, audit: AuditEntry): Promise<string[]>;

  /**
   * Appends an event at `seq` (1 is RunCreated), durably; false when that place is taken or the run has ended.
   * Nothing is written then, the audit entry neither.
   */
  appendEvent(runId: string, seq: number, event: RunEvent, audit?: AuditEntry): Promise<boolean>;
  /** Events after `afterSeq`, in order. */
  events(runId: string, afterSeq?: number): Promise<StoredEvent[]>;
  /** Oldest first. */
  runs(): Promise<RunRow[]>;

  appendAudit(entry: AuditEntry): Promise<void>;
  /** In order, at most `limit` after `afterSeq`. */
  auditLog(afterSeq: number, limit: number): Promise<AuditRecord[]>;

  /** A number that changes when another process has written. Cheap: it is polled. */
  version(): Promise<number>;
  close(): Promise<void>;
}
