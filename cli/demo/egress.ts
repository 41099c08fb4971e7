/** Everything that left the demo's sites: a line an item in a file, totals by kind for the reader. */
import { writeFile } from 'node:fs/promises';
import { egressSummary } from '#site-agent/egress-log.ts';

export interface EgressSummary {
  /** {site: [{kind, bytes, sha256, times}]}. */
  readonly path: string;
  readonly sites: readonly {
    readonly name: string;
    readonly kinds: Readonly<Record<string, { readonly items: number; readonly bytes: number }>>;
  }[];
}

/** @param dirs the sites' folders, in the order of their names */
export async function writeEgress(
  names: readonly string[],
  dirs: readonly string[],
  path: string,
): Promise<EgressSummary> {
  const bySite = await Promise.all(
    names.map(async (name, index) => ({ name, lines: await egressSummary({ dir: dirs[index] ?? '' }) })),
  );
  await writeFile(
    path,
    `${JSON.stringify(Object.fromEntries(bySite.map(({ name, lines }) => [name, lines])), null, 1)}\n`,
  );
  const sites = bySite.map(({ name, lines }) => {
    const kinds: Record<string, { items: number; bytes: number }> = {};
    for (const { kind, bytes, times } of lines) {
      const total = kinds[kind] ?? { items: 0, bytes: 0 };
      kinds[kind] = { items: total.items + times, bytes: total.bytes + bytes * times };
    }
    return { name, kinds };
  });
  return { path, sites };
}
