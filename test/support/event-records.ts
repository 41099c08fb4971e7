/** Reads TensorBoard event files back, checking every checksum; written from the format's description, not from its writer. */
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { crc32c } from '#model/monitoring/crc32c.ts';

const unmasked = (masked: number): number => {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
};

export function recordsOf(file: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    if (crc32c(file.subarray(at, at + 8)) !== unmasked(file.readUInt32LE(at + 8))) throw new Error('length checksum');
    const data = file.subarray(at + 12, at + 12 + length);
    if (crc32c(data) !== unmasked(file.readUInt32LE(at + 12 + length))) throw new Error('data checksum');
    records.push(data);
    at += 16 + length;
  }
  return records;
}

/** Field number -> values as they come: numbers, bigints, or bytes of what is nested. */
export function fieldsOf(message: Uint8Array): Map<number, unknown[]> {
  const reader = new BinaryReader(message);
  const fields = new Map<number, unknown[]>();
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    const read = {
      0: () => Number(reader.int64()),
      1: () => reader.double(),
      2: () => reader.bytes(),
      5: () => reader.float(),
    };
    const value = read[wire as 0 | 1 | 2 | 5]();
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}
