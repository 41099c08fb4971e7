/** What of docs/ is made from the code says what the code says; every link leads somewhere. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configurationPage } from '../../scripts/docs/configuration.ts';
import { withErrorTable } from '../../scripts/docs/error-table.ts';
import { schemaRows } from '../../scripts/docs/schema-rows.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const remedy = 'run "npm run docs" and commit what it writes';

describe('generated documentation', () => {
  it('docs/configuration.md is that of the schemas', () => {
    expect(read('docs/configuration.md'), remedy).toBe(configurationPage());
  });

  it('the error codes in docs/protocol.md are those of the catalogue', () => {
    const page = read('docs/protocol.md');
    expect(page, remedy).toBe(withErrorTable(page));
  });

  it('every field has a description', () => {
    const page = configurationPage();
    expect(page.split('\n').filter(line => /\|\s*\|$/.test(line))).toEqual([]);
  });
});

describe('schemaRows', () => {
  it('flattens objects and tells ranges, exclusive ones too', () => {
    const schema = {
      required: ['a'],
      properties: {
        a: { properties: { b: { type: 'number', exclusiveMinimum: 0, maximum: 1, default: 0.5 } } },
        c: { type: 'string' },
      },
    };
    expect(schemaRows(schema)).toEqual([
      { field: 'a.b', accepts: 'number, above 0 to 1', fallback: '`0.5`', description: '' },
      { field: 'c', accepts: 'text', fallback: 'optional', description: '' },
    ]);
  });
});

const pages = [
  ...readdirSync(root).filter(name => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'))
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`),
];

/** As the usual renderers make anchors of headings. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');

const anchorsOf = (page: string): string[] =>
  [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchorOf(heading ?? ''));

/** Targets of links and pictures that are no URLs; code is not looked into. */
const targetsOf = (page: string): string[] =>
  [...page.replace(/^```[\s\S]*?^```/gm, '').matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target ?? '')
    .filter(target => !/^https?:/.test(target));

describe.each(pages)('%s', name => {
  it('has no broken link', () => {
    const page = read(name);
    const broken = targetsOf(page).filter(target => {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? name : join(dirname(name), path);
      const content = readIfThere(file);
      if (content === undefined) return true;
      return anchor !== undefined && !anchorsOf(content).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  it('names only files that exist', () => {
    const named = [
      ...read(name).matchAll(
        /`((?:proto|privacy|model|coordinator|site-agent|cli|scripts|test|examples|docs)\/[\w./-]+\.\w+)`/g,
      ),
    ];
    expect(named.map(([, path]) => path ?? '').filter(path => readIfThere(path) === undefined)).toEqual([]);
  });
});

function readIfThere(path: string): string | undefined {
  try {
    return read(path);
  } catch {
    return undefined;
  }
}
