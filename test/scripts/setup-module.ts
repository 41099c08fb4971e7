/** The set-up is plain JavaScript without declarations; a test states the types that it relies on. */
export async function setupModule<Exports>(name: string): Promise<Exports> {
  const url = new URL(`../../scripts/setup/${name}.mjs`, import.meta.url);
  return (await import(url.href)) as Exports;
}
