/** The skeleton of a phantom as added attenuation: ribs, spine, clavicles, shoulder blades and heads of the humeri. */
import type { Random } from '#model/random.ts';
import {
  addEllipse,
  bezier,
  clamp,
  FIELD_SIZE,
  type Field,
  newField,
  type Point,
  ramp,
  strokeMax,
  xOf,
  yOf,
} from './field.ts';
import type { Chest } from './thorax.ts';

const RIB_PAIRS = 11;

/** Adds the bones to `chest.attenuation`. `random` gives each rib its small irregularity, the same in every study. */
export function drawBones(chest: Chest, portable: boolean, random: Random): void {
  const ribs = newField();
  for (let rib = 0; rib < RIB_PAIRS; rib++) {
    for (const sign of [-1, 1]) drawRib(ribs, chest, rib, sign, random);
  }
  const other = newField();
  drawShoulders(other, chest, portable);
  for (let index = 0; index < ribs.length; index++) {
    const bone = 0.115 * chest.anatomy.ribStrength * (ribs[index] as number) + (other[index] as number);
    chest.attenuation[index] = (chest.attenuation[index] as number) + bone * (chest.body[index] as number);
  }
  drawSpine(chest, random);
}

/** A rib rises from the spine, bends round the chest wall and returns to the front, lower and fainter. */
function drawRib(field: Field, { anatomy, outerAt }: Chest, rib: number, sign: number, random: Random): void {
  const wobble = 0.004 * random.normal();
  const start = anatomy.apex - 0.012 + rib * anatomy.ribSpacing + wobble;
  const drop = anatomy.ribDrop * (0.05 + 0.011 * rib);
  const lateral = start + drop;
  const edge = outerAt(lateral + 0.01) + 0.012;
  const at = (share: number, y: number): Point => [sign * share * edge, y];
  const half = anatomy.ribHalfWidth;
  const back = bezier(
    [sign * 0.09, start],
    at(0.5, start - 0.035 - 0.002 * rib),
    at(0.97, start + 0.15 * drop),
    at(1, lateral),
  );
  strokeMax(field, back, { from: half * 0.9, to: half, strengthFrom: 0.85, strengthTo: 1.1, cortex: 0.45 });
  if (rib > 7) return;
  const slope = anatomy.ribDrop * (0.075 + 0.012 * rib);
  const inner = clamp(0.34 + 0.045 * rib, 0.3, 0.72);
  const front = bezier(
    at(1, lateral),
    at(1.01, lateral + 0.35 * slope),
    at(0.85, lateral + 0.8 * slope),
    at(inner, lateral + slope),
  );
  strokeMax(field, front, { from: half, to: half * 1.35, strengthFrom: 0.95, strengthTo: 0.3, cortex: 0.25 });
}

/** Vertebral bodies with darker discs between them; hardly seen through the heart, clearer through the trachea. */
function drawSpine({ attenuation }: Chest, random: Random): void {
  const pitch = 0.062 + 0.003 * random.normal();
  const phase = random.uniform();
  for (let row = 0; row < FIELD_SIZE; row++) {
    const y = yOf(row);
    const halfWidth = 0.068 + 0.022 * y;
    const disc = 0.5 + 0.5 * Math.cos(2 * Math.PI * (y / pitch + phase));
    const body = 0.12 - 0.08 * ramp(0.6, 0.95, disc);
    for (let column = 0; column < FIELD_SIZE; column++) {
      const x = Math.abs(xOf(column));
      if (x > 0.16) continue;
      const edge = 0.05 * ramp(0.022, 0.004, Math.abs(x - halfWidth * 0.85));
      const pedicle = 0.06 * ramp(0.02, 0.008, Math.abs(x - halfWidth * 0.62)) * ramp(0.45, 0.2, disc);
      const inside = ramp(halfWidth + 0.015, halfWidth - 0.012, x);
      const index = row * FIELD_SIZE + column;
      attenuation[index] = (attenuation[index] as number) + inside * body + edge * inside + pedicle;
    }
  }
}

function drawShoulders(field: Field, { anatomy, outerAt }: Chest, portable: boolean): void {
  const { apex, width, clavicleTilt } = anatomy;
  for (const sign of [-1, 1]) {
    const medial = apex + 0.09 - (portable ? 0.03 : 0);
    const outer = medial - 0.045 + sign * clavicleTilt * 0.5 + clavicleTilt;
    const bone = bezier(
      [sign * 0.085, medial],
      [sign * 0.33, medial + 0.012],
      [sign * 0.5, outer - 0.035],
      [sign * (width + 0.12), outer],
    );
    strokeMax(field, bone, { from: 4.6, to: 4, strengthFrom: 0.2, strengthTo: 0.26, cortex: 0.4 });
    // The blade lies beside the lungs with the arms forward, over them when the patient lies.
    const shift = portable ? -0.1 : 0.02;
    const top: Point = [sign * (width + 0.16 + shift), apex + 0.1];
    const tip: Point = [sign * (outerAt(0.47) + 0.03 + shift), 0.49];
    const inner: Point = [sign * (outerAt(0.3) + 0.05 + shift), 0.24];
    strokeMax(field, [top, tip], { from: 5, to: 3, strengthFrom: 0.12, strengthTo: 0.08, cortex: 0.5 });
    strokeMax(field, [inner, tip], { from: 2.5, to: 2.5, strengthFrom: 0.06, strengthTo: 0.07 });
    strokeMax(field, [top, inner], { from: 4, to: 3, strengthFrom: 0.1, strengthTo: 0.06 });
    addEllipse(field, [sign * (width + 0.22), apex + 0.115], [0.12, 0.065], 0.16, { softness: 0.25 });
    strokeMax(
      field,
      [
        [sign * (width + 0.24), apex + 0.15],
        [sign * (width + 0.36), apex + 0.5],
      ],
      { from: 7, to: 6, strengthFrom: 0.14, strengthTo: 0.14, cortex: 0.5 },
    );
  }
}
