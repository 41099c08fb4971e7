/** A handful of phantom patients as a site's training data, held in memory: pairs that belong together. */
import { LABELS } from '#model/labels.ts';
import { cleanReport, joinReport, parseReport } from '#model/text/report-cleaner.ts';
import { Vocabulary } from '#model/text/vocabulary.ts';
import type { TrainingData, TrainingRecord } from '#model/training/dataset.ts';
import { FIELD_SIZE } from '#site-agent/data/phantom/field.ts';
import { DEFAULT_PRIOR } from '#site-agent/data/phantom/findings.ts';
import { drawPatient } from '#site-agent/data/phantom/patient.ts';
import { renderPhantom } from '#site-agent/data/phantom/render.ts';
import { findSections } from '#site-agent/data/report-sections.ts';

/** The first film of each of `count` patients, grey, `resolution` pixels a side, with its findings section. */
export function phantomData(count: number, resolution: number): TrainingData {
  const pairs = Array.from({ length: count }, (_, index) => phantomPair(index, resolution));
  return {
    records: pairs.map(pair => pair.record),
    resolution,
    imageChannels: 1,
    readImages: async indices => Buffer.concat(indices.map(index => pairs[index]?.pixels ?? Buffer.alloc(0))),
  };
}

/** Every word of the data's reports. */
export function vocabularyOf({ records }: TrainingData): Vocabulary {
  return new Vocabulary([...new Set(records.flatMap(({ report }) => parseReport(report ?? '').flat()))].sort());
}

function phantomPair(index: number, resolution: number): { record: TrainingRecord; pixels: Uint8Array } {
  const { anatomy, studies } = drawPatient(16, index, DEFAULT_PRIOR);
  const [study] = studies;
  const [image] = study?.exposures ?? [];
  if (study === undefined || image === undefined) throw new Error(`phantom patient ${index} has no film`);
  const report = joinReport(cleanReport(findSections(study.report.text).findings ?? ''));
  const labels = LABELS.map(label => study.report.labels[label] ?? null);
  const film = renderPhantom(anatomy, image.exposure, study.findings);
  return { record: { index, split: 'train', report, labels }, pixels: shrunk(film, resolution) };
}

/** Means over squares. */
function shrunk(film: Uint8Array, resolution: number): Uint8Array {
  const factor = FIELD_SIZE / resolution;
  return Uint8Array.from({ length: resolution ** 2 }, (_, pixel) => {
    const [top, left] = [Math.floor(pixel / resolution) * factor, (pixel % resolution) * factor];
    let sum = 0;
    for (let y = 0; y < factor; y++) {
      for (let x = 0; x < factor; x++) sum += film[(top + y) * FIELD_SIZE + left + x] as number;
    }
    return sum / factor ** 2;
  });
}
