/** Where a command reads and writes: handed in, so that only main.ts touches the process and tests can look. */
import type { Readable, Writable } from 'node:stream';

export interface Terminal {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Bars and colours only here; NO_COLOR is already taken into account. */
  readonly isTty: boolean;
  readonly colours: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Aborts on Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

/** What a command tells: one document (or a line an event, of services) on stdout, progress on stderr. */
export interface Output {
  readonly json: boolean;
  /** The command's result: the JSON document, or the text a person reads. */
  result(document: unknown, text: () => string): void;
  /** A line of a long-running service: JSON, or the text a person reads. */
  event(document: object, text: () => string): void;
  /** Never on stdout. */
  progress(line: string): void;
}

export function createOutput(terminal: Terminal, json: boolean): Output {
  const line = (stream: Writable, text: string): void => {
    stream.write(text.endsWith('\n') ? text : `${text}\n`);
  };
  const either = (document: unknown, text: () => string): void =>
    line(terminal.stdout, json ? JSON.stringify(document) : text());
  return { json, result: either, event: either, progress: text => line(terminal.stderr, text) };
}

/** ANSI colours, or the bare text where they are unwanted. */
export interface Palette {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
}

export function palette(enabled: boolean): Palette {
  const paint = (on: number, off: number) => (text: string) => (enabled ? `\x1b[${on}m${text}\x1b[${off}m` : text);
  return { bold: paint(1, 22), dim: paint(2, 22), red: paint(31, 39), green: paint(32, 39), yellow: paint(33, 39) };
}
