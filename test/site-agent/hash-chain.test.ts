import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { checkChain, GENESIS, HashChain } from '#site-agent/hash-chain.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'emixer-chain-'));
  path = join(dir, 'log.jsonl');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const write = async (...records: Record<string, unknown>[]) => {
  const chain = await HashChain.open(path);
  // All at once: the order of the calls is the order of the lines.
  await Promise.all(records.map((record, i) => chain.append(record, i)));
  await chain.close();
};

describe('a hash-chained log', () => {
  it('is valid as written, over several openings, for its owner only', async () => {
    expect(await checkChain(path)).toEqual({ valid: true, entries: 0, head: GENESIS });
    await write({ action: 'a' }, { action: 'b' });
    await write({ action: 'c' });
    expect(await checkChain(path)).toMatchObject({ valid: true, entries: 3 });
    const actions = readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map(line => JSON.parse(line).record.action);
    expect(actions).toEqual(['a', 'b', 'c']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('shows every change of a character, line taken out, doubled or swapped', async () => {
    await write({ action: 'a', task: 'x' }, { action: 'b' }, { action: 'c' });
    const text = readFileSync(path, 'utf8');
    const lines = text.trim().split('\n');
    const [a, b, c] = lines as [string, string, string];
    for (const forged of [
      [b, c],
      [a, c],
      [a, b, b, c],
      [b, a, c],
      [a, c, b],
    ]) {
      writeFileSync(path, `${forged.join('\n')}\n`);
      expect(await checkChain(path)).toMatchObject({ valid: false });
    }
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: text.length - 2 }), async at => {
        const changed = text[at] === '1' ? '2' : '1';
        writeFileSync(path, text.slice(0, at) + changed + text.slice(at + 1));
        expect((await checkChain(path)).valid).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it('a chain cut off at its end is shown by the head that was written down', async () => {
    await write({ action: 'a' }, { action: 'b' });
    const { head } = await checkChain(path);
    writeFileSync(path, `${readFileSync(path, 'utf8').split('\n')[0]}\n`);
    expect((await checkChain(path)).head).not.toBe(head);
  });

  it('goes on after a crash in the middle of a line', async () => {
    await write({ action: 'a' }, { action: 'b' });
    appendFileSync(path, '{"seq":2,"atMs":0,"rec');
    await write({ action: 'c' });
    expect(await checkChain(path)).toMatchObject({ valid: true, entries: 3 });
  });

  it('goes on after a disk that took half of a line', async () => {
    const chain = await HashChain.open(path);
    await chain.append({ action: 'a' }, 0);
    const probe = await open(path, 'r');
    const handles = Object.getPrototypeOf(probe) as FileHandle;
    await probe.close();
    const full = vi.spyOn(handles, 'appendFile').mockImplementationOnce(async data => {
      appendFileSync(path, String(data).slice(0, 20));
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    });
    await expect(chain.append({ action: 'lost' }, 1)).rejects.toMatchObject({ code: 'ENOSPC' });
    full.mockRestore();
    await chain.append({ action: 'b' }, 2);
    await chain.close();
    expect(await checkChain(path)).toMatchObject({ valid: true, entries: 2 });
  });

  it('is not written on when it was tampered with', async () => {
    await write({ action: 'a' }, { action: 'b' });
    writeFileSync(path, readFileSync(path, 'utf8').replace('"a"', '"z"'));
    await expect(HashChain.open(path)).rejects.toMatchObject({
      code: 'FILE_CORRUPT',
      message: expect.stringContaining('line 1'),
    });
  });
});
