/** Tables of the database, and the migrations that make them. Columns are of types that SQLite and PostgreSQL share. */
import type { Generated, Kysely, Migration, MigrationProvider } from 'kysely';

export interface Database {
  certificates: {
    serial: string;
    site: string;
    fingerprint: string;
    enrolled_at_ms: number;
    revoked_at_ms: number | null;
  };
  invites: { token_sha256: string; site: string; expires_at_ms: number; used_at_ms: number | null };
  runs: { run_id: string; created_at_ms: number; ended_at_ms: number | null };
  events: { run_id: string; seq: number; payload: string };
  audit_log: {
    seq: Generated<number>;
    at_ms: number;
    actor: string;
    action: string;
    detail: string;
    previous_hash: string;
    hash: string;
  };
}

const first: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('certificates')
      .addColumn('serial', 'text', column => column.primaryKey())
      .addColumn('site', 'text', column => column.notNull())
      .addColumn('fingerprint', 'text', column => column.notNull())
      .addColumn('enrolled_at_ms', 'bigint', column => column.notNull())
      .addColumn('revoked_at_ms', 'bigint')
      .execute();
    await db.schema.createIndex('certificates_site').on('certificates').column('site').execute();
    await db.schema
      .createTable('invites')
      .addColumn('token_sha256', 'text', column => column.primaryKey())
      .addColumn('site', 'text', column => column.notNull())
      .addColumn('expires_at_ms', 'bigint', column => column.notNull())
      .addColumn('used_at_ms', 'bigint')
      .execute();
    await db.schema
      .createTable('runs')
      .addColumn('run_id', 'text', column => column.primaryKey())
      .addColumn('created_at_ms', 'bigint', column => column.notNull())
      .addColumn('ended_at_ms', 'bigint')
      .execute();
    await db.schema
      .createTable('events')
      .addColumn('run_id', 'text', column => column.notNull())
      .addColumn('seq', 'integer', column => column.notNull())
      .addColumn('payload', 'text', column => column.notNull())
      .addPrimaryKeyConstraint('events_key', ['run_id', 'seq'])
      .execute();
    await db.schema
      .createTable('audit_log')
      .addColumn('seq', 'integer', column => column.primaryKey())
      .addColumn('at_ms', 'bigint', column => column.notNull())
      .addColumn('actor', 'text', column => column.notNull())
      .addColumn('action', 'text', column => column.notNull())
      .addColumn('detail', 'text', column => column.notNull())
      .addColumn('previous_hash', 'text', column => column.notNull())
      .addColumn('hash', 'text', column => column.notNull())
      .execute();
  },
};

/** In code, in order of their keys; a migration that has been released is never edited. */
export const migrations: MigrationProvider = { getMigrations: async () => ({ '0001-first': first }) };
