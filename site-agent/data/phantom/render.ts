/** One phantom as a grey film: attenuation along each ray, then exposure, film curve, scatter blur and grain. */
import { Random } from '#model/random.ts';
import type { Anatomy, Exposure } from './anatomy.ts';
import { drawBones } from './bones.ts';
import { clamp, FIELD_SIZE, type Field, smoothNoise, transform } from './field.ts';
import type { DrawnLabel, Finding } from './findings.ts';
import { drawFindings } from './pathology.ts';
import { drawThorax } from './thorax.ts';
import { drawVessels } from './vessels.ts';

/**
 * Draws a frontal chest film: lungs dark, bones and heart bright.
 * @returns grey pixels, [FIELD_SIZE, FIELD_SIZE], uint8; the same arguments give the same bytes
 */
export function renderPhantom(anatomy: Anatomy, exposure: Exposure, findings: readonly Finding[]): Uint8Array {
  const severity = (label: DrawnLabel) => findings.find(finding => finding.label === label)?.severity ?? 0;
  const heart = severity('Cardiomegaly');
  const edema = severity('Edema');
  const collapse = findings.find(finding => finding.label === 'Atelectasis');
  const rise = (side: 'left' | 'right') =>
    collapse !== undefined && (collapse.side === side || collapse.side === 'both')
      ? 0.02 + 0.05 * collapse.severity
      : 0;

  const chest = drawThorax(anatomy, exposure, {
    heartGrowth: heart === 0 ? 0 : 0.1 + 0.16 * heart,
    domeRise: [rise('right'), rise('left')],
  });
  drawVessels(chest, anatomy.shape, { strength: 1 + 0.9 * edema + 0.25 * heart, upper: edema > 0 ? 1 : 0.75 });
  drawFindings(chest, findings);
  drawBones(chest, exposure.view === 'AP', new Random('phantom bones', anatomy.shape));
  const random = new Random('phantom film', exposure.seed);
  const texture = smoothNoise(new Random('phantom texture', anatomy.shape), 9);
  for (let index = 0; index < texture.length; index++) {
    chest.attenuation[index] = (chest.attenuation[index] as number) * (1 + 0.035 * (texture[index] as number));
  }
  return develop(transform(chest.attenuation, exposure.angle, exposure.scale, exposure.shift), exposure, random);
}

/** Attenuation in steps of 1/1024, up to 4: a table, since two powers a pixel cost more than all else. */
const CURVE_STEPS = 4096;
const STEPS_PER_UNIT = 1024;

/** Film curve over exponential absorption; grain is a sum of bytes, near enough to normal and quick. */
function develop(attenuation: Field, exposure: Exposure, random: Random): Uint8Array {
  const curve = Float32Array.from({ length: CURVE_STEPS }, (_, step) => {
    const stopped = 1 - Math.exp((-1.3 * exposure.kilovolt * step) / STEPS_PER_UNIT);
    return 255 * (1.12 * stopped ** exposure.gamma + exposure.brightness);
  });
  const scattered = blurred(attenuation);
  const pixels = new Uint8Array(FIELD_SIZE * FIELD_SIZE);
  // Four bytes sum to a standard deviation of 147.8.
  const grain = exposure.noiseStd / 147.8;
  for (let index = 0; index < pixels.length; index++) {
    const bits = random.uint32();
    const bytes = (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24) - 510;
    const step = clamp(((scattered[index] as number) * STEPS_PER_UNIT) | 0, 0, CURVE_STEPS - 1);
    pixels[index] = clamp((curve[step] as number) + grain * bytes + 0.5, 0, 255);
  }
  return pixels;
}

/** 3 x 3 binomial blur, edges repeated: no film is sharp to the pixel. */
function blurred(field: Field): Field {
  const rows = new Float32Array(field.length);
  const result = new Float32Array(field.length);
  const last = FIELD_SIZE - 1;
  for (let row = 0; row < FIELD_SIZE; row++) {
    const at = row * FIELD_SIZE;
    for (let column = 0; column < FIELD_SIZE; column++) {
      const left = field[at + (column > 0 ? column - 1 : 0)] as number;
      const right = field[at + (column < last ? column + 1 : last)] as number;
      rows[at + column] = 0.25 * (left + right) + 0.5 * (field[at + column] as number);
    }
  }
  for (let row = 0; row < FIELD_SIZE; row++) {
    const above = (row > 0 ? row - 1 : 0) * FIELD_SIZE;
    const below = (row < last ? row + 1 : last) * FIELD_SIZE;
    const at = row * FIELD_SIZE;
    for (let column = 0; column < FIELD_SIZE; column++) {
      const around = (rows[above + column] as number) + (rows[below + column] as number);
      result[at + column] = 0.25 * around + 0.5 * (rows[at + column] as number);
    }
  }
  return result;
}
