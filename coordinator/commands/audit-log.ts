/** `emixer coordinator audit-log verify`. */
import { type ChainCheck, verifyAuditChain } from '#coordinator/store/audit-chain.ts';
import { withStore } from './with-store.ts';

/** Recomputes the hash chain of the log. @throws FedError NOT_FOUND when the folder has not been initialised */
export const verifyAuditLog = (dir: string): Promise<ChainCheck> => withStore(dir, verifyAuditChain);
