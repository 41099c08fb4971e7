/** The one place that reads argv, the environment and signals. */
import process from 'node:process';
import { allCommands } from './commands/index.ts';
import { runProgram } from './program.ts';

const { argv, env, stdin, stdout, stderr } = process;
const { NO_COLOR: noColor, TERM: term, EMIXER_END_WITH_STDIN: endWithStdin } = env;
const controller = new AbortController();
let interrupted = false;

// Warnings of dependencies are for their developers. Under NODE_OPTIONS=--no-deprecation the property is read-only, and set.
if (process.noDeprecation !== true) process.noDeprecation = !argv.includes('--verbose');
// `emixer ... | head` closes the pipe: that is no failure of the command.
stdout.on('error', () => controller.abort());

process.on('SIGINT', () => {
  // A second Ctrl-C does not wait for anything any more.
  if (interrupted) process.exit(130);
  interrupted = true;
  controller.abort();
});
process.on('SIGTERM', () => controller.abort());
// Set by the demo: its services end with it even when it is killed and can tell them nothing.
if (endWithStdin === '1') {
  stdin.once('end', () => controller.abort()).once('error', () => controller.abort());
  stdin.resume();
  // A pipe is a socket; it must not keep a command alive that is done.
  if ('unref' in stdin && typeof stdin.unref === 'function') stdin.unref();
}

const isTty = stderr.isTTY === true && term !== 'dumb';
const exitCode = await runProgram(allCommands, argv.slice(2), {
  stdin,
  stdout,
  stderr,
  isTty,
  colours: isTty && (noColor === undefined || noColor === ''),
  env,
  now: Date.now,
  signal: controller.signal,
});
process.exitCode = interrupted ? 130 : exitCode;
