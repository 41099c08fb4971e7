/** Other programs, started without a shell, and the question whether they exist. */
import { spawn } from 'node:child_process';

/** Only the end of a program's output is kept: enough to name a failure, bounded whatever it prints. */
const keptOutputChars = 20_000;

/**
 * Runs a program to its end and keeps what it printed.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<{ code: number, stdout: string, stderr: string }>} code 127 where the program does not exist
 */
export function run(command, args, options = {}) {
  return new Promise(resolve => {
    const child = spawn(command, [...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', text => {
      stdout = (stdout + text).slice(-keptOutputChars);
    });
    child.stderr.setEncoding('utf8').on('data', text => {
      stderr = (stderr + text).slice(-keptOutputChars);
    });
    child.on('error', error => resolve({ code: 127, stdout, stderr: error.message }));
    child.on('close', code => resolve({ code: code ?? 1, stdout, stderr }));
  });
}

/**
 * The first of several commands that answers `--version`.
 * @param {readonly (readonly string[])[]} candidates each a program and its leading arguments
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<readonly string[] | null>}
 */
export async function firstThatRuns(candidates, env) {
  for (const candidate of candidates) {
    const [command = '', ...args] = candidate;
    if ((await run(command, [...args, '--version'], { env })).code === 0) return candidate;
  }
  return null;
}

/**
 * The last lines of a failed program's output, on one line, for a message.
 * @param {{ stdout: string, stderr: string }} result
 */
export function lastWords(result) {
  const lines = `${result.stdout}\n${result.stderr}`.split('\n').map(line => line.trim());
  const telling = lines.filter(line => line !== '' && !line.startsWith('[notice]'));
  return telling.slice(-3).join(' | ').slice(-500);
}
