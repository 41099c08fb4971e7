/** A site's folder as after enrolment, with certificates of a test authority. */
import { join } from 'node:path';
import { stringify } from 'yaml';
import { sitePaths, writePrivateFile } from '#site-agent/state.ts';
import type { TestAuthority } from './certificates.ts';

export async function enrolledSite(options: {
  readonly dir: string;
  readonly site: string;
  readonly authority: TestAuthority;
  readonly coordinator: string;
  readonly config?: object;
}): Promise<void> {
  const { dir, site, authority, coordinator, config = {} } = options;
  const paths = sitePaths(dir);
  const { certPem, keyPem } = authority.issue(site);
  await writePrivateFile(paths.key, keyPem);
  await writePrivateFile(paths.certificate, certPem);
  await writePrivateFile(paths.ca, authority.caPem);
  await writePrivateFile(paths.identity, JSON.stringify({ site, coordinator }));
  await writePrivateFile(paths.config, stringify({ policy: { approval: 'automatic' }, ...config }));
  await writePrivateFile(join(paths.prepared, 'pixels.u8'), 'prepared');
}
