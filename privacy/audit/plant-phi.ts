/** Positive control of the PHI scan: invented identifiers of every kind, set into a sentence. */
import type { Random } from '../random.ts';
import type { PhiKind } from './phi-kinds.ts';
import { GIVEN_NAMES, SURNAMES } from './phi-names.ts';

export interface PlantedPhi {
  readonly kind: PhiKind;
  readonly text: string;
}

const MONTHS = ['January', 'February', 'March', 'April', 'June', 'July', 'August', 'September', 'October', 'November'];
const SENTENCES = ['The heart is normal in size.', 'No pleural effusion or pneumothorax.', 'There may be mild oedema.'];

/** Every template of every kind, `rounds` times with other values; all invented, none taken from a record. */
export function plantPhi(rounds: number, random: Random): PlantedPhi[] {
  return Array.from({ length: rounds }, () => templates(random)).flat();
}

function templates(random: Random): PlantedPhi[] {
  const pick = (list: readonly string[]): string => list[Math.floor(random.uniform() * list.length)] ?? '';
  const digits = (count: number) => Array.from({ length: count }, () => Math.floor(random.uniform() * 10)).join('');
  const between = (low: number, high: number) => low + Math.floor(random.uniform() * (high - low + 1));
  const name = (list: ReadonlySet<string>) => pick([...list]).replace(/^./, first => first.toUpperCase());
  const [day, month, year] = [between(1, 28), between(1, 12), between(1990, 2026)];
  const planted = (kind: PhiKind, ...phrases: string[]) =>
    phrases.map(phrase => {
      const sentence = `${pick(SENTENCES)} ${phrase}. ${pick(SENTENCES)}`;
      return { kind, text: sentence };
    });
  return [
    ...planted(
      'name',
      `Discussed with Dr. ${name(SURNAMES)} by telephone`,
      `Mrs. ${name(SURNAMES)} was seen in clinic`,
      `Compared with the film of ${name(GIVEN_NAMES)} ${name(SURNAMES)}`,
      `discussed with dr ${name(SURNAMES).toLowerCase()} by telephone`,
      `Dictated by: ${name(GIVEN_NAMES)} ${name(SURNAMES)}`,
    ),
    ...planted(
      'date',
      `Compared with ${month}/${day}/${year}`,
      `Compared with the film of ${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`,
      `Compared with ${pick(MONTHS)} ${day}, ${year}`,
      `compared with ${day} ${pick(MONTHS).toLowerCase()} ${year}`,
    ),
    ...planted(
      'age-over-89',
      `This ${between(90, 109)}-year-old patient has a cough`,
      `Aged ${between(90, 109)}, short of breath`,
    ),
    ...planted(
      'phone',
      `Called at ${between(201, 989)}-555-0${digits(3)}`,
      `Call (${between(201, 989)}) 555-0${digits(3)}`,
    ),
    ...planted('email', `Sent to ${name(SURNAMES).toLowerCase()}${digits(2)}@example.org today`),
    ...planted('ssn', `SSN ${between(100, 899)}-${between(10, 99)}-${between(1000, 9999)}`),
    ...planted('record-number', `MRN: ${between(1, 9)}${digits(6)}`, `Accession number ${between(1, 9)}${digits(7)}`),
    ...planted('identifier', `Policy number ${between(1, 9)}${digits(7)}`),
    ...planted('url', `See https://portal.example.org/${digits(6)}`),
    ...planted('ip-address', `Sent from 192.0.2.${between(1, 254)} to the archive`),
    ...planted(
      'address',
      `Lives at ${between(1, 999)} ${name(SURNAMES)} Street`,
      `Transferred from Springfield, IL 6${digits(4)}`,
    ),
  ];
}
