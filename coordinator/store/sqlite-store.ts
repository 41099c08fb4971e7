/** The store over embedded SQLite (libsql), every commit synced to the disk before it counts. All SQL is in this folder. */
import { Kysely, Migrator, SqliteDialect, sql, type Transaction } from 'kysely';
import LibsqlDatabase from 'libsql';
import { isTerminal, type RunEvent } from '#coordinator/rounds/events.ts';
import { FedError } from '#proto/errors.ts';
import { auditHash, CHAIN_START } from './audit-chain.ts';
import { whileBusy } from './busy.ts';
import { type Database, migrations } from './schema.ts';
import type { AuditEntry, AuditRecord, InviteRow, SiteCertificate, Store } from './store.ts';

/**
 * Opens, or makes, the database and brings it to the newest schema.
 * @throws FedError FILE_CORRUPT when the file is no database or a migration fails
 */
export async function openSqliteStore(path: string): Promise<Store> {
  const connection = new LibsqlDatabase(path);
  const db = new Kysely<Database>({ dialect: new SqliteDialect({ database: connection }) });
  try {
    await whileBusy(async () => {
      await sql`pragma journal_mode = wal`.execute(db);
      await sql`pragma synchronous = full`.execute(db);
      const { error } = await new Migrator({ db, provider: migrations }).migrateToLatest();
      if (error !== undefined) throw error;
    });
  } catch (cause) {
    await db.destroy();
    throw new FedError(
      'FILE_CORRUPT',
      `expected the coordinator's database at ${path}; ${cause instanceof Error ? cause.message : cause}`,
      'restore it from a backup',
      { cause },
    );
  }
  return new SqliteStore(db, connection);
}

class SqliteStore implements Store {
  readonly #db: Kysely<Database>;
  readonly #connection: LibsqlDatabase.Database;

  constructor(db: Kysely<Database>, connection: LibsqlDatabase.Database) {
    this.#db = db;
    this.#connection = connection;
  }

  async addInvite({ tokenSha256, site, expiresAtMs }: Omit<InviteRow, 'usedAtMs'>, audit: AuditEntry): Promise<void> {
    await this.#write(async trx => {
      await trx
        .insertInto('invites')
        .values({ token_sha256: tokenSha256, site, expires_at_ms: expiresAtMs, used_at_ms: null })
        .execute();
      await chain(trx, audit);
    });
  }

  async invite(tokenSha256: string): Promise<InviteRow | undefined> {
    const row = await this.#db
      .selectFrom('invites')
      .selectAll()
      .where('token_sha256', '=', tokenSha256)
      .executeTakeFirst();
    return row && { tokenSha256, site: row.site, expiresAtMs: row.expires_at_ms, usedAtMs: row.used_at_ms };
  }

  async redeemInvite(
    tokenSha256: string,
    { site, serial, fingerprint, enrolledAtMs }: Omit<SiteCertificate, 'revokedAtMs'>,
    audit: AuditEntry,
  ) {
    return this.#write(async trx => {
      const invite = await trx
        .selectFrom('invites')
        .selectAll()
        .where('token_sha256', '=', tokenSha256)
        .where('site', '=', site)
        .executeTakeFirst();
      if (invite === undefined) return 'unknown';
      if (invite.used_at_ms !== null) return 'used';
      if (invite.expires_at_ms <= enrolledAtMs) return 'expired';
      await trx
        .updateTable('invites')
        .set({ used_at_ms: enrolledAtMs })
        .where('token_sha256', '=', tokenSha256)
        .execute();
      await trx
        .insertInto('certificates')
        .values({ serial, site, fingerprint, enrolled_at_ms: enrolledAtMs, revoked_at_ms: null })
        .execute();
      await chain(trx, audit);
      return 'enrolled';
    });
  }

  async certificate(serial: string): Promise<SiteCertificate | undefined> {
    const row = await this.#db.selectFrom('certificates').selectAll().where('serial', '=', serial).executeTakeFirst();
    return row && certificateOf(row);
  }

  async certificates(): Promise<SiteCertificate[]> {
    const rows = await this.#db
      .selectFrom('certificates')
      .selectAll()
      .orderBy('site')
      .orderBy('enrolled_at_ms')
      .orderBy('serial')
      .execute();
    return rows.map(certificateOf);
  }

  async revoke(siteOrSerial: string, atMs: number, audit: AuditEntry): Promise<string[]> {
    return this.#write(async trx => {
      const rows = await trx
        .selectFrom('certificates')
        .select('serial')
        .where(where => where.or([where('site', '=', siteOrSerial), where('serial', '=', siteOrSerial)]))
        .where('revoked_at_ms', 'is', null)
        .orderBy('serial')
        .execute();
      const serials = rows.map(({ serial }) => serial);
      if (serials.length === 0) return serials;
      await trx.updateTable('certificates').set({ revoked_at_ms: atMs }).where('serial', 'in', serials).execute();
      await chain(trx, audit);
      return serials;
    });
  }

  async appendEvent(runId: string, seq: number, event: RunEvent, audit?: AuditEntry): Promise<boolean> {
    return this.#write(async trx => {
      if (seq === 1) {
        const run = { run_id: runId, created_at_ms: event.atMs, ended_at_ms: null };
        const inserted = await trx
          .insertInto('runs')
          .values(run)
          .onConflict(conflict => conflict.doNothing())
          .executeTakeFirst();
        if (inserted.numInsertedOrUpdatedRows !== 1n) return false;
      } else if (!(await isNext(trx, runId, seq))) {
        return false;
      }
      await trx
        .insertInto('events')
        .values({ run_id: runId, seq, payload: JSON.stringify(event) })
        .execute();
      if (isTerminal(event)) {
        await trx.updateTable('runs').set({ ended_at_ms: event.atMs }).where('run_id', '=', runId).execute();
      }
      if (audit !== undefined) await chain(trx, audit);
      return true;
    });
  }

  async events(runId: string, afterSeq = 0) {
    const rows = await this.#db
      .selectFrom('events')
      .select(['seq', 'payload'])
      .where('run_id', '=', runId)
      .where('seq', '>', afterSeq)
      .orderBy('seq')
      .execute();
    return rows.map(({ seq, payload }) => ({ seq, event: JSON.parse(payload) as RunEvent }));
  }

  async runs() {
    const rows = await this.#db.selectFrom('runs').selectAll().orderBy('created_at_ms').orderBy('run_id').execute();
    return rows.map(row => ({ runId: row.run_id, createdAtMs: row.created_at_ms, endedAtMs: row.ended_at_ms }));
  }

  async appendAudit(entry: AuditEntry): Promise<void> {
    await this.#write(trx => chain(trx, entry));
  }

  async auditLog(afterSeq: number, limit: number): Promise<AuditRecord[]> {
    const rows = await this.#db
      .selectFrom('audit_log')
      .selectAll()
      .where('seq', '>', afterSeq)
      .orderBy('seq')
      .limit(limit)
      .execute();
    return rows.map(row => ({
      seq: row.seq,
      atMs: row.at_ms,
      actor: row.actor,
      action: row.action,
      detail: JSON.parse(row.detail) as AuditEntry['detail'],
      previousHash: row.previous_hash,
      hash: row.hash,
    }));
  }

  async version(): Promise<number> {
    const { rows } = await sql<{ data_version: number }>`pragma data_version`.execute(this.#db);
    return rows[0]?.data_version ?? 0;
  }

  close(): Promise<void> {
    return this.#db.destroy();
  }

  /**
   * A transaction that holds the write lock from its first statement: with SQLite's deferred kind, two processes that
   * read before they write would fail instead of waiting for each other. Begin and commit go through `exec`: a prepared
   * statement that has failed stays open in libsql, and the next commit is refused because of it.
   */
  #write<T>(work: (trx: Kysely<Database>) => Promise<T>): Promise<T> {
    return this.#db.connection().execute(async connection => {
      await whileBusy(async () => this.#connection.exec('begin immediate'));
      try {
        const result = await work(connection);
        this.#connection.exec('commit');
        return result;
      } catch (thrown) {
        this.#connection.exec('rollback');
        throw isFull(thrown) ? diskFull(thrown) : thrown;
      }
    });
  }
}

const isFull = (thrown: unknown): boolean => (thrown as { code?: unknown } | undefined)?.code === 'SQLITE_FULL';

const diskFull = (cause: unknown): FedError =>
  new FedError('DISK_FULL', 'no space left on the disk for the database', 'free space', { cause });

type Writer = Kysely<Database> | Transaction<Database>;

/** True when `seq` follows the run's last event and the run goes on. */
async function isNext(trx: Writer, runId: string, seq: number): Promise<boolean> {
  const run = await trx.selectFrom('runs').select('ended_at_ms').where('run_id', '=', runId).executeTakeFirst();
  if (run === undefined || run.ended_at_ms !== null) return false;
  const last = await trx
    .selectFrom('events')
    .select(({ fn }) => fn.max('seq').as('seq'))
    .where('run_id', '=', runId)
    .executeTakeFirst();
  return Number(last?.seq ?? 0) === seq - 1;
}

async function chain(trx: Writer, entry: AuditEntry): Promise<void> {
  const last = await trx
    .selectFrom('audit_log')
    .select(['seq', 'hash'])
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  const seq = (last?.seq ?? 0) + 1;
  const previousHash = last?.hash ?? CHAIN_START;
  await trx
    .insertInto('audit_log')
    .values({
      seq,
      at_ms: entry.atMs,
      actor: entry.actor,
      action: entry.action,
      detail: JSON.stringify(entry.detail),
      previous_hash: previousHash,
      hash: auditHash(seq, previousHash, entry),
    })
    .execute();
}

const certificateOf = (row: Database['certificates']): SiteCertificate => ({
  site: row.site,
  serial: row.serial,
  fingerprint: row.fingerprint,
  enrolledAtMs: row.enrolled_at_ms,
  revokedAtMs: row.revoked_at_ms,
});
