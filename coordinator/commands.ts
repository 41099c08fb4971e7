/** What the command line calls: one function a command, no argv, no terminal. */
import './small-heap.ts';

export { verifyAuditLog } from './commands/audit-log.ts';
export { initCoordinator } from './commands/init.ts';
export { createRun, listRuns, showRun, stopRun } from './commands/runs.ts';
export { invite, revoke } from './commands/sites.ts';
export { type RunningCoordinator, type StartOptions, startCoordinator } from './commands/start.ts';
export type { RunSummary, RunView } from './http/schemas.ts';
export type { Notice } from './notices.ts';
