/** The JSON header of a safetensors file, checked field by field: names, types, and offsets that tile the data exactly. */
import type { FedError } from '#proto/errors.ts';
import { elementBytes, elementCount, type TensorDtype } from '#proto/manifest.ts';

export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** Position in the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  /** Sorted by name. */
  readonly entries: readonly SafetensorsEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

const MAX_RANK = 16;

/**
 * @param dataStart position of the first tensor byte
 * @param fileBytes size of the whole file: the tensors must fill it to the last byte
 * @param corrupt makes the error that names the file
 */
export function parseHeader(
  header: Uint8Array,
  dataStart: number,
  fileBytes: number,
  corrupt: (reason: string) => FedError,
): SafetensorsHeader {
  const root = parseObject(header, corrupt);
  const { __metadata__: described } = root;
  const metadata = parseMetadata(described, corrupt);
  const entries: SafetensorsEntry[] = [];
  for (const [name, value] of Object.entries(root)) {
    if (name !== '__metadata__') entries.push(parseEntry(name, value, dataStart, corrupt));
  }
  requireTiling(entries, dataStart, fileBytes, corrupt);
  entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return { entries, metadata };
}

function parseObject(header: Uint8Array, corrupt: (reason: string) => FedError): Record<string, unknown> {
  // The format wants "{" first: this also refuses a byte order mark, which JSON.parse would get without it.
  if (header[0] !== 0x7b) throw corrupt('its header does not begin with "{"');
  let root: unknown;
  try {
    root = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(header));
  } catch {
    throw corrupt('its header is no UTF-8 JSON');
  }
  return root as Record<string, unknown>;
}

function parseMetadata(value: unknown, corrupt: (reason: string) => FedError): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value) || Object.values(value).some(text => typeof text !== 'string')) {
    throw corrupt('its __metadata__ is no map of strings');
  }
  return value as Record<string, string>;
}

function parseEntry(
  name: string,
  value: unknown,
  dataStart: number,
  corrupt: (reason: string) => FedError,
): SafetensorsEntry {
  const shown = JSON.stringify(name.slice(0, 80));
  if (!isObject(value)) throw corrupt(`tensor ${shown} has no description`);
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (dtype !== 'F32' && dtype !== 'I32' && dtype !== 'U8') {
    throw corrupt(`tensor ${shown} is of no type that is read here (F32, I32, U8)`);
  }
  if (!isCounts(shape) || shape.length > MAX_RANK) throw corrupt(`tensor ${shown} has no valid shape`);
  if (!isCounts(offsets) || offsets.length !== 2) throw corrupt(`tensor ${shown} has no valid data_offsets`);
  const [begin, end] = offsets as [number, number];
  const byteLength = elementCount(shape) * elementBytes(dtype);
  if (!Number.isSafeInteger(byteLength) || end - begin !== byteLength) {
    throw corrupt(`tensor ${shown} needs ${byteLength} bytes; its offsets are [${begin}, ${end}]`);
  }
  return { name, dtype, shape, byteOffset: dataStart + begin, byteLength };
}

/** No hole, no overlap, nothing before, between or after: bytes that belong to no tensor could hide anything. */
function requireTiling(
  entries: readonly SafetensorsEntry[],
  dataStart: number,
  fileBytes: number,
  corrupt: (reason: string) => FedError,
): void {
  const inOrder = [...entries].sort((a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  let position = dataStart;
  for (const { byteOffset, byteLength } of inOrder) {
    if (byteOffset !== position) throw corrupt(`its tensors overlap or leave a hole at byte ${position}`);
    position += byteLength;
  }
  if (position !== fileBytes) throw corrupt(`its tensors end at byte ${position}, the file at ${fileBytes}`);
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every(item => Number.isSafeInteger(item) && (item as number) >= 0);
