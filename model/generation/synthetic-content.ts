/**
 * What the tensors of a synthetic set may hold, byte for byte (synthetic-file.ts). The audit reads pixels and report
 * texts: bytes that it would not see (other keys of a line, spaces, labels above 1) must not be there to carry anything.
 */
import { FedError } from '#proto/errors.ts';

/** No report of any preset comes near it. */
export const MAX_REPORT_LINE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/**
 * The reports of the tensor "reports", one a line, each written as SyntheticWriter writes it.
 * @throws FedError MESSAGE_INVALID on anything else
 */
export async function* reportsIn(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  let rest = Buffer.alloc(0);
  for await (const piece of pieces) {
    let text = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece]);
    for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE)) {
      yield reportOf(text.subarray(0, end));
      text = text.subarray(end + 1);
    }
    if (text.length > MAX_REPORT_LINE_BYTES) throw invalid(`lines of at most ${MAX_REPORT_LINE_BYTES} bytes`);
    rest = text;
  }
  if (rest.length > 0) throw invalid('a newline after every report');
}

function reportOf(line: Buffer): string {
  let value: unknown;
  try {
    value = JSON.parse(line.toString('utf8'));
  } catch {
    value = undefined;
  }
  const report = (value as { report?: unknown } | null | undefined)?.report;
  if (typeof report !== 'string' || !line.equals(Buffer.from(JSON.stringify({ report })))) {
    throw invalid('lines {"report": string} and nothing else');
  }
  return report;
}

/** @throws FedError MESSAGE_INVALID when a byte of the tensor "labels" is neither 0 nor 1 */
export async function requireLabels(pieces: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const piece of pieces) if (piece.some(label => label > 1)) throw invalid('labels of 0 and 1');
}

const invalid = (expected: string): FedError =>
  new FedError('MESSAGE_INVALID', `the generated set: expected ${expected}`, 'install the same version at both ends');
