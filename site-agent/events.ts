/** What the agent says while it runs: one JSON object each, without patient data; the command line prints them. */
import type { EgressTotals } from './egress-log.ts';
import type { WorkerEvent } from './worker/supervisor.ts';

type FromWorker<T> = T extends { readonly type: infer K } ? { readonly event: K } & Omit<T, 'type'> : never;

export type AgentEvent =
  | { readonly event: 'started'; readonly site: string; readonly coordinator: string }
  | { readonly event: 'connecting'; readonly to: string }
  | {
      readonly event: 'connected';
      readonly site: string;
      readonly coordinatorVersion: string;
      readonly clockOffMs: number;
    }
  /** Every wait says what it waits for, and until when where that is known. */
  | { readonly event: 'waiting'; readonly for: string; readonly reason?: string; readonly untilMs?: number }
  | {
      readonly event: 'task';
      readonly taskId: string;
      readonly kind: string;
      readonly round: number;
      readonly deadlineMs: number;
    }
  | {
      readonly event: 'progress';
      readonly taskId: string;
      readonly step: number;
      readonly steps: number;
      readonly metrics: Readonly<Record<string, number>>;
    }
  | { readonly event: 'transfer'; readonly taskId: string; readonly direction: 'up' | 'down'; readonly chunks: number }
  | { readonly event: 'task-cancelled'; readonly taskId: string; readonly reason: string }
  | { readonly event: 'task-refused'; readonly taskId: string; readonly reason: string; readonly remedy: string }
  | {
      readonly event: 'task-failed';
      readonly taskId: string;
      readonly code: string;
      readonly message: string;
      readonly remedy: string;
    }
  /** Figures only: the task goes on. */
  | { readonly event: 'metrics-refused'; readonly taskId: string; readonly reason: string }
  /** `counted` is false when the coordinator had an answer already, or went on without this site. */
  | { readonly event: 'task-done'; readonly taskId: string; readonly counted: boolean; readonly resubmitted: boolean }
  | { readonly event: 'egress'; readonly totals: EgressTotals }
  | { readonly event: 'stopped'; readonly reason: string }
  | FromWorker<WorkerEvent>;

export type OnEvent = (event: AgentEvent) => void;
