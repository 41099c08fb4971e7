/** What a site's agent tells, as lines for people. */
import type { AgentEvent } from '#site-agent/events.ts';
import { losses } from './notice-text.ts';

/** The line that an event is worth to a reader, or undefined. */
export function describeAgentEvent(event: AgentEvent): string | undefined {
  switch (event.event) {
    case 'started':
      return `${event.site} started`;
    case 'connecting':
      return `connecting to ${event.to}`;
    case 'connected':
      return `connected as ${event.site}; clocks differ by ${event.clockOffMs} ms`;
    case 'waiting': {
      const until = event.untilMs === undefined ? '' : `, again at ${new Date(event.untilMs).toISOString()}`;
      return `waiting for ${event.for}${event.reason === undefined ? '' : `: ${event.reason}`}${until}`;
    }
    case 'task':
      return `task ${event.taskId}, until ${new Date(event.deadlineMs).toISOString()}`;
    case 'progress':
      return `  step ${event.step}/${event.steps}  ${losses(event.metrics)}`;
    case 'task-cancelled':
      return `task ${event.taskId} is no longer wanted: ${event.reason}`;
    case 'task-refused':
      return `task ${event.taskId} refused: ${event.reason}; ${event.remedy}`;
    case 'task-failed':
      return `task ${event.taskId} failed: ${event.code} ${event.message}; ${event.remedy}`;
    case 'task-done':
      return `task ${event.taskId} done${event.counted ? '' : '; it was not counted'}`;
    case 'worker-started':
      return `training worker started: ${event.backend}`;
    case 'worker-restarted':
      return `training worker restarted (${event.restarts}): ${event.reason}`;
    case 'stopped':
      return `stopped: ${event.reason}`;
    default:
      return undefined;
  }
}
