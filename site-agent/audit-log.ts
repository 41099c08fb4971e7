/** What the agent decided and did, for the hospital's own auditors: hash-chained, free of patient data. */
import { type ChainCheck, checkChain, HashChain } from './hash-chain.ts';
import { sitePaths } from './state.ts';

export type AuditAction =
  | 'enrolled'
  | 'agent-started'
  | 'agent-stopped'
  | 'task-allowed'
  | 'task-refused'
  | 'task-cancelled'
  | 'task-failed'
  | 'result-submitted'
  | 'prepared-deleted';

export class AuditLog {
  readonly #chain: HashChain;

  private constructor(chain: HashChain) {
    this.#chain = chain;
  }

  /** @throws FedError FILE_CORRUPT when the log was tampered with */
  static async open(dir: string): Promise<AuditLog> {
    return new AuditLog(await HashChain.open(sitePaths(dir).auditLog));
  }

  /** On the disk when it resolves. */
  async record(action: AuditAction, detail: Readonly<Record<string, string | number>>, atMs: number): Promise<void> {
    await this.#chain.append({ action, ...detail }, atMs, true);
  }

  close(): Promise<void> {
    return this.#chain.close();
  }
}

export const verifyAuditLog = ({ dir }: { dir: string }): Promise<ChainCheck> => checkChain(sitePaths(dir).auditLog);
