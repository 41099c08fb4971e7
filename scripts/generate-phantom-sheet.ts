/** Draws docs/images/phantoms.png: twelve phantoms with the labels they were drawn with and their reports. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type GalleryPair, renderGallery } from '#cli/pictures/gallery.ts';
import { LABELS } from '#model/labels.ts';
import { FIELD_SIZE } from '#site-agent/data/phantom/field.ts';
import { DEFAULT_PRIOR } from '#site-agent/data/phantom/findings.ts';
import { drawPatient } from '#site-agent/data/phantom/patient.ts';
import { renderPhantom } from '#site-agent/data/phantom/render.ts';
import { findSections, joinSections } from '#site-agent/data/report-sections.ts';

const SHOWN = 12;
const SEED = 7;

/** The first patients whose first film shows labels that none before them has. */
function pairs(): GalleryPair[] {
  const chosen: GalleryPair[] = [];
  const seen = new Set<string>();
  for (let index = 0; chosen.length < SHOWN; index++) {
    const { anatomy, studies } = drawPatient(SEED, index, DEFAULT_PRIOR);
    const [study] = studies;
    const film = study?.exposures[0];
    if (study === undefined || film === undefined) continue;
    const labels = LABELS.filter(label => study.report.labels[label] === 1);
    const key = labels.join();
    if (seen.has(key)) continue;
    seen.add(key);
    chosen.push({
      pixels: renderPhantom(anatomy, film.exposure, study.findings),
      labels,
      report: joinSections(findSections(study.report.text)) ?? '',
    });
  }
  return chosen;
}

const folder = join(import.meta.dirname, '../docs/images');
await mkdir(folder, { recursive: true });
const sheet = await renderGallery({
  title: 'Phantoms: drawn, not generated, and of no patient',
  subtitle: 'What the demo trains on. Each with the labels it was drawn with and the report that follows from them.',
  resolution: FIELD_SIZE,
  imageChannels: 1,
  pairs: pairs(),
});
await writeFile(join(folder, 'phantoms.png'), sheet);
