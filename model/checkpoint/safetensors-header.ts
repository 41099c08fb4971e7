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

/** A tensor of a type that nothing here computes with, in a file that other software wrote. */
export interface ForeignEntry extends Omit<SafetensorsEntry, 'dtype'> {
  readonly dtype: string;
}

export interface SafetensorsHeader {
  /** Sorted by name. */
  readonly entries: readonly SafetensorsEntry[];
  /** Tensors of the format's other types; none unless they were asked for. */
  readonly foreign: readonly ForeignEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

const MAX_RANK = 16;

/** Bytes an element of the format's types that are not TensorDtype. */
const FOREIGN_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  I8: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
};

/**
 * @param dataStart position of the first tensor byte
 * @param fileBytes size of the whole file: the tensors must fill it to the last byte
 * @param corrupt makes the error that names the file
 * @param acceptForeign whether tensors of types that nothing here computes with may be in the file
 */
export function parseHeader(
  header: Uint8Array,
  dataStart: number,
  fileBytes: number,
  corrupt: (reason: string) => FedError,
  acceptForeign = false,
): SafetensorsHeader {
  const root = parseObject(header, corrupt);
  const { __metadata__: described } = root;
  const metadata = parseMetadata(described, corrupt);
  const all: ForeignEntry[] = [];
  for (const [name, value] of Object.entries(root)) {
    if (name !== '__metadata__') all.push(parseEntry(name, value, dataStart, corrupt, acceptForeign));
  }
  requireTiling(all, dataStart, fileBytes, corrupt);
  all.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return { entries: all.filter(isOwn), foreign: all.filter(entry => !isOwn(entry)), metadata };
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
  acceptForeign: boolean,
): ForeignEntry {
  const shown = JSON.stringify(name.slice(0, 80));
  if (!isObject(value)) throw corrupt(`tensor ${shown} has no description`);
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  const foreignBytes = acceptForeign && typeof dtype === 'string' ? FOREIGN_BYTES[dtype] : undefined;
  if (!isOwnType(dtype) && foreignBytes === undefined) {
    throw corrupt(`tensor ${shown} is of no type that is read here (F32, I32, U8)`);
  }
  if (!isCounts(shape) || shape.length > MAX_RANK) throw corrupt(`tensor ${shown} has no valid shape`);
  if (!isCounts(offsets) || offsets.length !== 2) throw corrupt(`tensor ${shown} has no valid data_offsets`);
  const [begin, end] = offsets as [number, number];
  const bytes = isOwnType(dtype) ? elementBytes(dtype) : (foreignBytes as number);
  const byteLength = elementCount(shape) * bytes;
  if (!Number.isSafeInteger(byteLength) || end - begin !== byteLength) {
    throw corrupt(`tensor ${shown} needs ${byteLength} bytes; its offsets are [${begin}, ${end}]`);
  }
  return { name, dtype: dtype as string, shape, byteOffset: dataStart + begin, byteLength };
}

/** No hole, no overlap, nothing before, between or after: bytes that belong to no tensor could hide anything. */
function requireTiling(
  entries: readonly ForeignEntry[],
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

const isOwnType = (dtype: unknown): dtype is TensorDtype => dtype === 'F32' || dtype === 'I32' || dtype === 'U8';
const isOwn = (entry: ForeignEntry): entry is SafetensorsEntry => isOwnType(entry.dtype);

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every(item => Number.isSafeInteger(item) && (item as number) >= 0);
