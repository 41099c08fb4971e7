import { describe, expect, it } from 'vitest';
import { scanPhi } from '#privacy/audit/phi.ts';
import { PHI_KINDS } from '#privacy/audit/phi-kinds.ts';
import { plantPhi } from '#privacy/audit/plant-phi.ts';
import { clopperPearsonLower } from '#privacy/audit/statistics/binomial.ts';
import { seededRandom } from '#privacy/random.ts';

describe('scanPhi', () => {
  it('finds planted identifiers of every kind: recall at least .98 over more than 500', () => {
    const plants = plantPhi(25, seededRandom(11, 'phi'));
    const found = plants.filter(({ kind, text }) => scanPhi(text).some(hit => hit.kind === kind));
    expect(plants.length).toBeGreaterThan(500);
    expect(new Set(plants.map(({ kind }) => kind))).toEqual(new Set(PHI_KINDS));
    expect(clopperPearsonLower(found.length, plants.length, 0.95)).toBeGreaterThan(0.98);
  });

  it.each([
    ['Discussed with Dr. Smith.', 'name', 'Smith'],
    ['seen by dr . jones yesterday', 'name', 'jones'],
    ["Mrs. O'Neil has a cough", 'name', "O'Neil"],
    ['Signed by: Alice Brown', 'name', 'Alice Brown'],
    ['Reported by Jane A. Doe, MD', 'name', 'Jane A. Doe'],
    ['compared with john smith today', 'name', 'john smith'],
    ['Compared with 03/14/2012.', 'date', '03/14/2012'],
    ['Film of 2012-03-14', 'date', '2012-03-14'],
    ['march 3 , 2012', 'date', 'march 3 , 2012'],
    ['on May 12 she fell', 'date', 'May 12'],
    ['3rd of may', 'date', '3rd of may'],
    ['14-mar-2012', 'date', '14-mar-2012'],
    ['A 91-year-old man', 'age-over-89', '91-year-old'],
    ['aged 101', 'age-over-89', '101'],
    ['MRN: 1234567', 'record-number', '1234567'],
    ['accession number AB12345', 'record-number', 'AB12345'],
    ['(317) 555-0142', 'phone', '(317) 555-0142'],
    ['pager 12345', 'phone', '12345'],
    ['+44 20 7946 0958', 'phone', '+44 20 7946 0958'],
    ['mail a.b@example.org now', 'email', 'a.b@example.org'],
    ['https://example.org/x', 'url', 'https://example.org/x'],
    ['123-45-6789', 'ssn', '123-45-6789'],
    ['from 192.0.2.17 sent', 'ip-address', '192.0.2.17'],
    ['1HGCM82633A004352', 'identifier', '1HGCM82633A004352'],
    ['lives at 12 Oak Street', 'address', '12 Oak Street'],
    ['Indianapolis, IN 46202', 'address', '46202'],
  ] as const)('%s', (text, kind, expected) => {
    const hits = scanPhi(text);
    expect(hits.map(hit => hit.kind)).toEqual([kind]);
    expect(text.slice(hits[0]?.start, hits[0]?.end)).toBe(expected);
  });

  it.each([
    'there may be an opacity',
    'this may 2 weeks later be repeated',
    'Dr. XXXX was called',
    'Dr. ___ at 8:15',
    'recommend follow-up in 8-12 weeks',
    'a 3-4 mm nodule',
    'compression of T12 and L1, C5-C6',
    'ICD 786.2',
    "Hodgkin's lymphoma",
    '2 weeks ago',
    'slices 12345 and 7 of 200',
    'Compared with XXXX/11 and 53XXXX, the patient, XXXX-year-old, of Dr. XXXX’s',
    'xxxx year old, seen by dr . xxxx',
    '[**2012-3-14**] by [**Doctor First Name 12**]',
    'lower 2/3 of the lung, 4/5 ribs, 1.2 x 3.4 cm',
    'Pleural Effusion Is Seen In The Left Hemithorax',
    'the 89-year-old patient',
    'mr imaging of the chest, ms and lupus, the doctor was notified',
    'No change. Heart Size Normal. Right IJ catheter, Swan-Ganz, Kerley B lines.',
    'SpO2 91 % at age 45, T 98.6',
  ])('no hit in: %s', text => {
    expect(scanPhi(text)).toEqual([]);
  });

  it('finds what stands beside a de-identification mark', () => {
    expect(scanPhi('Dr. XXXX called 317-555-0142 on XXXX').map(hit => hit.kind)).toEqual(['phone']);
  });
});
