/** For commands that run until they are told to end. */

/** Resolves when the signal aborts. An abort listener alone would not keep the process alive; listeners and sockets do. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
}
