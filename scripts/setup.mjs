#!/usr/bin/env node
/**
 * Prepares a fresh clone: dependencies (install scripts off), the native TensorFlow backend, the TypeScript build.
 * Plain JavaScript with Node's built-ins only, because it runs before node_modules exists. What is ready is left alone, so
 * every `npm` command may call it first. `node scripts/setup.mjs --help` lists the options.
 */
import process from 'node:process';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`setup: Node 20.19 or later is needed, this is ${process.versions.node}\n`);
  process.stderr.write(
    '  fix: install a current Node LTS from https://nodejs.org or your distribution, then run this again\n',
  );
  process.exit(1);
}

// Imported only now, so that an old Node prints the two lines above instead of a syntax error.
const { main } = await import('./setup/main.mjs');
process.exitCode = await main(process.argv.slice(2), process.env);
