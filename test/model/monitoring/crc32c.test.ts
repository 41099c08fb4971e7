import { describe, expect, it } from 'vitest';
import { crc32c, maskedCrc32c } from '#model/monitoring/crc32c.ts';

describe('crc32c', () => {
  it.each([
    ['32 zeros', new Uint8Array(32), 0x8a9136aa],
    ['32 bytes of 0xff', new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ['0 to 31', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ['31 to 0', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ])("is RFC 3720's (B.4) for %s", (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });

  it('is masked as TFRecord wants it: unmasking gives it back', () => {
    const bytes = Buffer.from('a record');
    const rotated = (maskedCrc32c(bytes) - 0xa282ead8) >>> 0;
    expect(((rotated >>> 17) | (rotated << 15)) >>> 0).toBe(crc32c(bytes));
  });
});
