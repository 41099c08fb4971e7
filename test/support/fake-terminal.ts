/** A terminal that remembers what was written to it. */
import { Readable, Writable } from 'node:stream';
import type { Terminal } from '#cli/terminal.ts';

export interface FakeTerminal extends Terminal {
  readonly out: () => string;
  readonly err: () => string;
}

export function fakeTerminal(over: Partial<Terminal> & { readonly input?: string } = {}): FakeTerminal {
  const written = { out: '', err: '' };
  const sink = (key: 'out' | 'err') =>
    new Writable({
      write(piece, _encoding, done) {
        written[key] += String(piece);
        done();
      },
    });
  const { input = '', ...terminal } = over;
  return {
    stdin: Readable.from(input === '' ? [] : [input]),
    stdout: sink('out'),
    stderr: sink('err'),
    isTty: false,
    colours: false,
    env: {},
    now: () => 0,
    signal: new AbortController().signal,
    ...terminal,
    out: () => written.out,
    err: () => written.err,
  };
}
