/** Open-i, the Indiana University collection (Demner-Fushman et al. 2016): one XML a study, one study a patient. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { XMLParser } from 'fast-xml-parser';
import { FedError } from '#proto/errors.ts';
import { labelsOfMesh } from './openi-labels.ts';
import type { Loader, Skipped, SourceRecord } from './record.ts';
import { joinSections } from './report-sections.ts';
import { filesIn, type Located } from './safe-path.ts';

const REPORTS = 'ecgen-radiology';
const IMAGES = 'NLMCXR_png';
/** Real ones have at most 9 KB. */
const MAX_XML_BYTES = 2 ** 20;
const ID = /^[A-Za-z0-9_.-]{1,128}$/;

export const openi: Loader = { kind: 'openi', records };

async function* records(folder: string, skip: (skipped: Skipped) => void): AsyncGenerator<SourceRecord> {
  const locate = await filesIn(folder);
  const names = await listed(folder, REPORTS);
  const unlisted = new Set(await listed(folder, IMAGES));
  const files = names.filter(name => name.endsWith('.xml')).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const seen = new Set<string>();
  for (const name of files) {
    const path = `${REPORTS}/${name}`;
    const study = await readStudy(await locate(path));
    if (typeof study === 'string') {
      skip({ path, reason: study });
      continue;
    }
    if (seen.has(study.uid)) {
      skip({ path, reason: 'a second report of the same study' });
      continue;
    }
    seen.add(study.uid);
    for (const image of study.images) {
      const located = await locateImage(locate, image);
      if (!located.ok) {
        skip({ path: `${IMAGES}/${image.slice(0, 128)}`, reason: located.reason });
        continue;
      }
      unlisted.delete(basename(located.path));
      const { uid, report, findings, labels } = study;
      yield { patient: uid, study: uid, image, imagePath: located.path, report, findings, labels };
    }
  }
  for (const name of unlisted) skip({ path: `${IMAGES}/${name}`, reason: 'present, but no report lists it' });
}

async function listed(folder: string, name: string): Promise<string[]> {
  try {
    return await readdir(join(folder, name));
  } catch {
    throw new FedError(
      'DATA_INVALID',
      `expected a folder ${name} in ${folder}, found none`,
      `unpack Open-i's reports into ${REPORTS}/ and its images into ${IMAGES}/`,
    );
  }
}

async function locateImage(locate: (relative: string) => Promise<Located>, image: string): Promise<Located> {
  if (!ID.test(image)) return { ok: false, reason: 'an id that is no Open-i image id' };
  const png = await locate(`${IMAGES}/${image}.png`);
  return png.ok || png.reason !== 'listed, but absent' ? png : locate(`${IMAGES}/${image}.jpg`);
}

interface Study extends Pick<SourceRecord, 'report' | 'findings' | 'labels'> {
  readonly uid: string;
  readonly images: readonly string[];
}

/** What the parser leaves of the document: attributes begin with "@", text of an element with attributes is "#text". */
interface Citation {
  readonly uId?: { readonly '@id'?: string };
  readonly MedlineCitation?: {
    readonly Article?: { readonly Abstract?: { readonly AbstractText?: readonly AbstractText[] } };
  };
  readonly MeSH?: { readonly major?: readonly string[] };
  readonly parentImage?: readonly { readonly '@id'?: string }[];
}
type AbstractText = string | { readonly '@Label'?: string; readonly '#text'?: string };

/** Entities and document types are never processed: predefined entities are decoded below, all others stay as text. */
const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  processEntities: false,
  parseTagValue: false,
  parseAttributeValue: false,
  isArray: name => name === 'parentImage' || name === 'major' || name === 'AbstractText',
});

/** The study, or why it cannot be used. */
async function readStudy(located: Located): Promise<Study | string> {
  if (!located.ok) return located.reason;
  if ((await stat(located.path)).size > MAX_XML_BYTES) return `larger than ${MAX_XML_BYTES / 1024} KiB`;
  const text = await readFile(located.path, 'utf8');
  if (/<!(DOCTYPE|ENTITY)/i.test(text)) return 'it declares a document type, which Open-i never does';
  let citation: Citation | undefined;
  try {
    citation = (parser.parse(text, true) as { eCitation?: Citation }).eCitation;
  } catch {
    return 'not well-formed XML';
  }
  const uid = citation?.uId?.['@id'];
  if (citation === undefined || uid === undefined || !ID.test(uid))
    return 'not an Open-i report: no eCitation with a uId';
  const abstract = citation.MedlineCitation?.Article?.Abstract?.AbstractText ?? [];
  const section = (label: string): string | null => {
    const found = abstract.find(part => typeof part === 'object' && part['@Label'] === label);
    const body = typeof found === 'object' ? decoded(found['#text'] ?? '').trim() : '';
    return body === '' ? null : body;
  };
  const findings = section('FINDINGS');
  return {
    uid,
    images: (citation.parentImage ?? []).map(image => image['@id'] ?? ''),
    report: joinSections({ findings, impression: section('IMPRESSION') }),
    findings,
    labels: labelsOfMesh((citation.MeSH?.major ?? []).filter(major => typeof major === 'string').map(decoded)),
  };
}

const PREDEFINED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const decoded = (text: string): string =>
  text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => PREDEFINED[name] ?? '');
