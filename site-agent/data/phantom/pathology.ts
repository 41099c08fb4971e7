/** Findings drawn into a chest: what the label says must be seen, on the side and in the zone that the report names. */
import { Random } from '#model/random.ts';
import { addEllipse, bezier, clamp, FIELD_SIZE, forBox, newField, ramp, smoothNoise, strokeMax } from './field.ts';
import { type Finding, signsOf } from './findings.ts';
import type { Chest } from './thorax.ts';

/** Draws every finding but those of the chest's shape (cardiomegaly) and of its vessels (render.ts). */
export function drawFindings(chest: Chest, findings: readonly Finding[]): void {
  for (const finding of findings) {
    const random = new Random('phantom finding', finding.shape);
    if (finding.label === 'Edema') drawEdema(chest, finding.severity, random);
    if (finding.label === 'Support Devices') drawDevices(chest, random);
    for (const sign of signsOf(finding.side)) {
      if (finding.label === 'Pleural Effusion') drawEffusion(chest, finding.severity, sign);
      if (finding.label === 'Consolidation') drawConsolidation(chest, finding, sign, random);
      if (finding.label === 'Pneumothorax') drawPneumothorax(chest, finding.severity, sign);
      if (finding.label === 'Atelectasis') drawAtelectasis(chest, finding.severity, sign, random);
      if (finding.label === 'Lung Lesion') drawLesion(chest, finding, sign, random);
    }
  }
}

const heights = { upper: 0.24, mid: 0.5, lower: 0.74 } as const;

/** Fluid: white up to a meniscus that climbs along the chest wall, the angle gone. */
function drawEffusion(chest: Chest, severity: number, sign: number): void {
  const { attenuation, air, base, anatomy } = chest;
  const level = base - 0.075 - 0.3 * severity;
  const near = Math.min(0, sign);
  forBox(near, near + 1, level - 0.2, base + 0.06, (index, x, y) => {
    const outer = chest.outerAt(y);
    const lateral = clamp(Math.abs(x) / outer, 0, 1.05);
    const surface = level + 0.07 - 0.16 * lateral ** 3;
    const fluid = ramp(surface - 0.02, surface + 0.05, y) * ramp(outer + 0.02, outer - 0.02, Math.abs(x));
    if (fluid === 0) return;
    const full = 1.1 * anatomy.bulk;
    const now = attenuation[index] as number;
    attenuation[index] = now + fluid * Math.max(0.06, full - now);
    air[index] = (air[index] as number) * (1 - fluid);
  });
}

/** A patch without air, ragged at its edge, with the airways left dark inside. */
function drawConsolidation(chest: Chest, finding: Finding, sign: number, random: Random): void {
  const { anatomy, base, attenuation, air } = chest;
  const y0 = anatomy.apex + heights[finding.zone ?? 'lower'] * (base - anatomy.apex) + 0.02 * random.normal();
  const x0 = sign * chest.outerAt(y0) * (0.5 + 0.12 * random.normal() * 0.5);
  const radius = 0.15 + 0.16 * finding.severity;
  const ragged = smoothNoise(random, 14);
  const fine = smoothNoise(random, 5);
  const strength = 0.26 + 0.3 * finding.severity;
  forBox(x0 - 1.5 * radius, x0 + 1.5 * radius, y0 - radius, y0 + radius, (index, x, y) => {
    const distance = Math.hypot((x - x0) / radius, (1.75 * (y - y0)) / radius);
    const edge = distance + 0.3 * (ragged[index] as number) + 0.08 * (fine[index] as number);
    const filled = ramp(1.2, 0.3, edge) * (air[index] as number);
    const mottled = 1 + 0.12 * (fine[index] as number);
    attenuation[index] = (attenuation[index] as number) + strength * filled * mottled;
  });
}

/** Haze about the hila like the wings of a bat, and septal lines at the bases; wider vessels are drawn with the vessels. */
function drawEdema(chest: Chest, severity: number, random: Random): void {
  const { anatomy, base, attenuation, air } = chest;
  const y0 = anatomy.apex + 0.52 * (base - anatomy.apex);
  const cloud = smoothNoise(random, 11);
  const fine = smoothNoise(random, 4);
  for (const sign of [-1, 1]) {
    const x0 = sign * 0.4 * anatomy.width;
    forBox(Math.min(0, sign), Math.min(0, sign) + 1, y0 - 0.35, base, (index, x, y) => {
      const open = air[index] as number;
      if (open === 0) return;
      const distance = Math.hypot((x - x0) / 0.42, (y - y0) / 0.27);
      const haze = ramp(1.25, 0.1, distance) * (1 + 0.35 * (cloud[index] as number) + 0.15 * (fine[index] as number));
      attenuation[index] = (attenuation[index] as number) + open * (0.14 + 0.32 * severity) * haze;
    });
    const lines = newField();
    for (let k = 0; k < 5; k++) {
      const y = base - 0.19 + 0.026 * k;
      const outer = sign * chest.outerAt(y);
      const end: readonly [number, number] = [outer * 0.86, y - 0.004];
      strokeMax(lines, [[outer * 0.99, y], end], { from: 0.7, to: 0.5, strengthFrom: 0.13, strengthTo: 0.06 });
    }
    for (let index = 0; index < lines.length; index++) {
      attenuation[index] =
        (attenuation[index] as number) + (lines[index] as number) * severity * (air[index] as number);
    }
  }
}

/** Air outside the lung: black and without vessels beyond a fine pleural line, the lung behind it denser. */
function drawPneumothorax(chest: Chest, severity: number, sign: number): void {
  const { anatomy, base, attenuation, air } = chest;
  const gap = 0.07 + 0.22 * severity;
  const near = Math.min(0, sign);
  forBox(near, near + 1, anatomy.apex - 0.02, base, (index, x, y) => {
    const open = air[index] as number;
    if (open === 0) return;
    const v = (y - anatomy.apex) / (base - anatomy.apex);
    const outer = chest.outerAt(y);
    // The gap is widest at the top, where air rises to, and closes towards the angle.
    const pleura = outer - gap * ramp(1.02, 0.35, v) - 0.018;
    const edge = Math.abs(x) - Math.min(pleura, outer - 0.05 + 0.6 * (v - gap * 0.9));
    const outside = ramp(-0.004, 0.012, edge);
    const line = 0.13 * ramp(0.016, 0.003, Math.abs(edge));
    const collapsed = (0.05 + 0.16 * severity) * (1 - outside);
    const now = attenuation[index] as number;
    attenuation[index] = now + open * (line + collapsed - outside * (now - 0.16) * 0.62);
    air[index] = open * (1 - outside);
  });
}

/** Plates of collapsed lung above a raised dome (the dome is raised in render.ts). */
function drawAtelectasis(chest: Chest, severity: number, sign: number, random: Random): void {
  const layer = newField();
  const plates = 2 + random.integer(2);
  for (let k = 0; k < plates; k++) {
    const x = sign * chest.anatomy.width * (0.25 + 0.12 * random.uniform());
    const y = chest.domeAt(sign * 0.4) - 0.03 - 0.045 * k - 0.01 * random.uniform();
    const length = 0.26 + 0.16 * severity;
    const tilt = 0.02 * random.normal();
    const end = x + sign * length;
    strokeMax(
      layer,
      bezier([x, y], [x + sign * 0.1, y - 0.012], [end - sign * 0.1, y - 0.012 + tilt], [end, y + tilt]),
      {
        from: 2.2 + 2 * severity,
        to: 1.4,
        strengthFrom: 0.19,
        strengthTo: 0.08,
      },
    );
  }
  addEllipse(layer, [sign * 0.38, chest.domeAt(sign * 0.38)], [0.26, 0.04 + 0.03 * severity], 0.13, { softness: 0.8 });
  for (let index = 0; index < FIELD_SIZE * FIELD_SIZE; index++) {
    const open = Math.min(1, (chest.air[index] as number) * 1.2);
    chest.attenuation[index] = (chest.attenuation[index] as number) + (layer[index] as number) * open;
  }
}

function drawLesion(chest: Chest, finding: Finding, sign: number, random: Random): void {
  const y = chest.anatomy.apex + heights[finding.zone ?? 'mid'] * (chest.base - chest.anatomy.apex);
  const radius = 0.045 + 0.05 * finding.severity;
  const x = sign * chest.outerAt(y) * (0.55 + 0.15 * random.uniform());
  addEllipse(chest.attenuation, [x, y], [radius, radius / 2], 0.32, { softness: 0.3 });
}

/** One or two of: endotracheal tube, central line with its tip in the vena cava, pacemaker with its lead. */
function drawDevices(chest: Chest, random: Random): void {
  const { anatomy, attenuation } = chest;
  const layer = newField();
  const thin = { from: 0.9, to: 0.9, strengthFrom: 0.5, strengthTo: 0.5 };
  const kind = random.integer(4);
  if (kind === 0 || kind === 3) {
    const tip = anatomy.apex + 0.2;
    strokeMax(
      layer,
      [
        [-0.015, -0.01],
        [-0.005, tip],
      ],
      { ...thin, from: 1.6, to: 1.6, strengthFrom: 0.3, strengthTo: 0.3 },
    );
    strokeMax(
      layer,
      [
        [0.02, -0.01],
        [0.018, tip],
      ],
      thin,
    );
  }
  if (kind === 1 || kind === 3) {
    const y = anatomy.apex;
    strokeMax(layer, bezier([-0.62, y + 0.1], [-0.3, y - 0.01], [-0.09, y + 0.06], [-0.11, y + 0.34], 20), thin);
  }
  if (kind === 2) {
    const x = 0.62 * anatomy.width + 0.1;
    const y = anatomy.apex + 0.15;
    addEllipse(layer, [x, y], [0.125, 0.042], 0.8, { softness: 0.06, tilt: 0.6 });
    strokeMax(layer, bezier([x - 0.08, y], [0.1, y - 0.04], [-0.2, y + 0.25], [0.26, chest.base - 0.13], 24), thin);
  }
  for (let index = 0; index < layer.length; index++) {
    attenuation[index] = (attenuation[index] as number) + (layer[index] as number);
  }
}
