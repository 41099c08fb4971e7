/** One line a step on stderr: what it does and how long it took. stdout stays free for a command's own result. */

/** @param {number} durationMs */
export const seconds = durationMs => `${(durationMs / 1000).toFixed(1)} s`;

/** @param {string} text */
export function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

/**
 * Runs one step and says what it does, then how long it took.
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  const startedMs = performance.now();
  process.stderr.write(`setup: ${title} ... `);
  try {
    const result = await work();
    process.stderr.write(`${seconds(performance.now() - startedMs)}\n`);
    return result;
  } catch (error) {
    process.stderr.write(`failed after ${seconds(performance.now() - startedMs)}\n`);
    throw error;
  }
}
