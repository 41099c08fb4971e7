import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { EventFile } from '#model/monitoring/event-file.ts';
import { fieldsOf, recordsOf } from '../../support/event-records.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const text = (value: unknown): string => Buffer.from(value as Uint8Array).toString();
const nested = (value: unknown) => fieldsOf(value as Uint8Array);
const nowMs = () => 1_764_000_000_500;

async function eventsOf(write: (file: EventFile) => void, restartAt?: number) {
  const file = await EventFile.create(await temporaryFolder(), nowMs, restartAt);
  write(file);
  await file.close();
  return recordsOf(await readFile(file.path)).map(record => fieldsOf(record));
}

describe('an event file', () => {
  it('begins with its version and the time in seconds', async () => {
    const [first] = await eventsOf(() => {});
    expect(first?.get(1)).toEqual([1_764_000_000.5]);
    expect(text(first?.get(3)?.[0])).toBe('brain.Event:2');
  });

  it('holds scalars of one step as values of one summary', async () => {
    const [, event] = await eventsOf(file => file.add(7, { scalars: { 'loss/G': 0.5, 'loss/D': -2 } }));
    expect(event?.get(2)).toEqual([7]);
    const values = nested(event?.get(5)?.[0]).get(1)?.map(nested) ?? [];
    expect(values.map(value => [text(value.get(1)?.[0]), value.get(2)?.[0]])).toEqual([
      ['loss/G', 0.5],
      ['loss/D', -2],
    ]);
  });

  it('holds an image with its size, and text for the text page', async () => {
    const png = Uint8Array.of(0x89, 0x50, 0x4e, 0x47);
    const [, event] = await eventsOf(file =>
      file.add(3, {
        images: { samples: { width: 8, height: 4, channels: 3, png } },
        texts: { reports: 'No effusion.' },
      }),
    );
    const [image, written] = nested(event?.get(5)?.[0]).get(1)?.map(nested) ?? [];
    const picture = nested(image?.get(4)?.[0]);
    expect([1, 2, 3].map(field => picture.get(field)?.[0])).toEqual([4, 8, 3]);
    expect(Buffer.from(picture.get(4)?.[0] as Uint8Array)).toEqual(Buffer.from(png));
    const tensor = nested(written?.get(8)?.[0]);
    expect(tensor.get(1)).toEqual([7]);
    expect(text(tensor.get(8)?.[0])).toBe('No effusion.');
    expect(text(nested(nested(written?.get(9)?.[0]).get(1)?.[0]).get(1)?.[0])).toBe('text');
  });

  it('says where a training goes on, so that later steps of an earlier file are dropped', async () => {
    const [, event] = await eventsOf(() => {}, 51);
    expect(event?.get(2)).toEqual([51]);
    expect(nested(event?.get(7)?.[0]).get(1)).toEqual([1]);
  });

  it('is a new one at each start, later names sorting after earlier ones', async () => {
    const folder = await temporaryFolder();
    const names: string[] = [];
    for (let start = 0; start < 3; start++) {
      const file = await EventFile.create(folder, nowMs);
      names.push(file.path);
      await file.close();
    }
    expect((await readdir(folder)).map(name => join(folder, name)).sort()).toEqual(names);
  });

  it('says at the next event that an earlier one could not be written', async () => {
    const file = await EventFile.create(await temporaryFolder(), nowMs);
    await file.close();
    file.add(1, { scalars: { a: 1 } });
    await vi.waitFor(() => expect(() => file.add(2, { scalars: { a: 1 } })).toThrow());
  });
});
