/** What each kind of protected health information looks like in a report, raw or lower-cased and split into tokens. */

import type { PhiKind } from './phi-kinds.ts';
import { GIVEN_NAMES, SURNAMES } from './phi-names.ts';

export interface PhiPattern {
  readonly kind: PhiKind;
  /** Global and with indices; the hit runs from the first group to the last, or is the whole match where there is none. */
  readonly pattern: RegExp;
  /** The last word on a match of `pattern`. */
  readonly accept?: (match: RegExpExecArray) => boolean;
}

const MONTH =
  '(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)';
const DAY = '(?:3[01]|[12]\\d|0?[1-9])';
const MONTH_NUMBER = '(?:1[0-2]|0?[1-9])';
const YEAR = '(?:19|20)\\d\\d';
const STATES =
  'AL|AK|AZ|AR|CA|CO|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC';
const ID_VALUE = '((?:[a-z]{1,4}-?)?\\d[\\d-]{2,}\\d)';
const BEFORE = '(?<![\\p{L}\\p{N}.])';
const AFTER = '(?![\\p{L}\\p{N}])';

const any = (kind: PhiKind, source: string): PhiPattern => ({ kind, pattern: new RegExp(source, 'dgiu') });
const cased = (kind: PhiKind, source: string): PhiPattern => ({ kind, pattern: new RegExp(source, 'dgu') });

/** What follows a title without being a name: "the doctor was called", "mr imaging", "ms and lupus". */
const NOT_NAMES = new Set(
  `and or of in on at by to for the a an is was were are has had with from who will be as if not no xxxx phone telephone
  notified called informed aware paged office clinic imaging images chest spine brain angiography scan study exam mri
  the this that these please patient team nurse staff service department assistant today yesterday via over may
  discussed reviewed contacted made time which prior per`.split(/\s+/),
);
const afterTitle = (match: RegExpExecArray): boolean => !NOT_NAMES.has((match[1] ?? '').toLowerCase());
/** Lower-case text has lost what tells a name from a word, so there the dictionary decides for doubtful titles. */
const knownName = (match: RegExpExecArray): boolean => {
  const word = (match[1] ?? '').toLowerCase();
  return SURNAMES.has(word) || GIVEN_NAMES.has(word);
};

export const PHI_PATTERNS: readonly PhiPattern[] = [
  // Names: a title and what follows it, a context that announces a name, a given name before a surname.
  { ...any('name', `${BEFORE}(?:dr|doctor|mrs|prof|professor)\\s?\\.?\\s+(\\p{L}[\\p{L}'’-]+)`), accept: afterTitle },
  {
    ...cased('name', `${BEFORE}(?:Mr|Ms|Miss|Sir|Sister)\\.?\\s+(\\p{Lu}[\\p{L}'’-]*\\p{Ll}[\\p{L}'’-]*)`),
    accept: afterTitle,
  },
  { ...any('name', `${BEFORE}(?:mr|ms|miss)\\s?\\.?\\s+(\\p{L}[\\p{L}'’-]+)`), accept: knownName },
  cased(
    'name',
    `(?:[Pp]atient(?:'s)? name|[Nn]ame of patient|[Ss]igned(?: electronically)? by|[Dd]ictated by|[Tt]ranscribed by|[Rr]ead by|[Ii]nterpreted by|[Rr]eferred by|[Aa]ttending(?: physician| radiologist)?)\\s*[:,-]?\\s+(?:(?:Dr|Mr|Mrs|Ms)\\.?\\s+)?(\\p{Lu}[\\p{L}'’-]*\\p{Ll}[\\p{L}'’-]*(?:\\s+\\p{Lu}[\\p{L}'’.-]*)*)`,
  ),
  cased(
    'name',
    `${BEFORE}(\\p{Lu}[\\p{Ll}'’-]+,?\\s+(?:\\p{Lu}\\.?\\s+)?\\p{Lu}[\\p{L}'’-]+),?\\s+(?:MD|M\\.D\\.|DO|D\\.O\\.|RN|PhD|NP)${AFTER}`,
  ),
  {
    ...any('name', `${BEFORE}(\\p{L}{2,})(?=\\s+(?:\\p{L}\\s?\\.?\\s+)?(\\p{L}{2,})${AFTER})`),
    accept: match => GIVEN_NAMES.has((match[1] ?? '').toLowerCase()) && SURNAMES.has((match[2] ?? '').toLowerCase()),
  },
  // Addresses and zip codes.
  any(
    'address',
    `${BEFORE}\\d{1,5}\\s+(?:\\p{L}[\\p{L}'.]*\\s+){1,3}(?:street|avenue|boulevard|road|drive|lane|court|parkway|highway)${AFTER}`,
  ),
  cased(
    'address',
    `${BEFORE}\\d{1,5}\\s+(?:[NSEW]\\.?\\s+)?(?:\\p{Lu}\\p{Ll}+\\s+){1,3}(?:St|Ave|Blvd|Rd|Ln|Dr|Ct|Pkwy|Hwy|Way|Place|Pl)\\.?${AFTER}`,
  ),
  any('address', `${BEFORE}p\\.?\\s?o\\.?\\s?box\\s+\\d+`),
  any('address', `${BEFORE}zip(?:\\s?code)?\\s*[:#]?\\s*(\\d{5}(?:-\\d{4})?)${AFTER}`),
  cased('address', `${BEFORE}(?:${STATES})[.,]?\\s+(\\d{5}(?:-\\d{4})?)${AFTER}`),
  cased('address', `,\\s*(?:CT|[A-Z]\\p{Ll}+)\\s+(\\d{5}(?:-\\d{4})?)${AFTER}`),
  any('address', `${BEFORE}\\d{5}-\\d{4}${AFTER}`),
  // Dates; a year alone is none (Safe Harbor).
  any('date', `${BEFORE}${MONTH_NUMBER}\\s?/\\s?${DAY}\\s?/\\s?(?:${YEAR}|\\d\\d)${AFTER}`),
  any('date', `${BEFORE}${DAY}\\s?/\\s?${MONTH_NUMBER}\\s?/\\s?(?:${YEAR}|\\d\\d)${AFTER}`),
  any('date', `${BEFORE}${DAY}[-.]${DAY}[-.]${YEAR}${AFTER}`),
  any('date', `${BEFORE}${MONTH_NUMBER}-${DAY}-\\d\\d${AFTER}`),
  any('date', `${BEFORE}${YEAR}\\s?[-/.]\\s?${MONTH_NUMBER}\\s?[-/.]\\s?${DAY}${AFTER}`),
  any(
    'date',
    `${BEFORE}(?:on|dated|date|from|since|until|comparison|compared to|performed)\\s*:?\\s+(${MONTH_NUMBER}/${DAY}|${MONTH_NUMBER}/${YEAR})${AFTER}(?![/.]\\d)`,
  ),
  any(
    'date',
    `${BEFORE}(?:${MONTH}|may(?=\\.?\\s+\\d{1,2}(?:st|nd|rd|th)?\\s?,?\\s+${YEAR}))\\s?\\.?\\s+${DAY}(?:st|nd|rd|th)?${AFTER}(?:\\s?,?\\s+${YEAR})?(?!\\s?(?:mm|cm|%))`,
  ),
  cased('date', `${BEFORE}May\\s+${DAY}(?:st|nd|rd|th)?${AFTER}(?!\\s?(?:mm|cm|%))`),
  any(
    'date',
    `${BEFORE}${DAY}(?:st|nd|rd|th)?(?:\\s+of)?[\\s-]+(?:${MONTH}|may)\\s?\\.?,?[\\s-]+(?:${YEAR}|\\d\\d)${AFTER}`,
  ),
  any('date', `${BEFORE}${DAY}(?:st|nd|rd|th)\\s+(?:of\\s+)?(?:${MONTH}|may)${AFTER}`),
  any('date', `${BEFORE}(?:${MONTH}|may)\\s?\\.?\\s*,?\\s+(?:of\\s+)?${YEAR}${AFTER}`),
  // Ages over 89.
  any('age-over-89', `${BEFORE}(?:9\\d|1[0-2]\\d)\\s?-?\\s?(?:years?|yrs?|y)\\s?[.-]?\\s?(?:old|/?\\s?o)\\b`),
  any(
    'age-over-89',
    `${BEFORE}(?:age|aged)\\s*(?:of|:|is)?\\s*(9\\d|1[0-2]\\d)${AFTER}(?!\\s?(?:%|mm|cm|days|hours|weeks|months))`,
  ),
  cased('age-over-89', `${BEFORE}(?:9\\d|1[0-2]\\d)\\s?-?(?:[MF]|yo|YO)${AFTER}`),
  any(
    'age-over-89',
    `${BEFORE}(?:ninety|one hundred)(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?[- ]years?[- ]old`,
  ),
  // Numbers that reach a person.
  any('phone', `(?<![\\d.-])(?:\\+?1[-. ]?)?(?:\\(\\d{3}\\)\\s?|\\d{3}[-. ])\\d{3}[-. ]\\d{4}${AFTER}`),
  any('phone', `(?<!\\d)\\+\\d{1,3}[ -]?(?:\\(?\\d{1,4}\\)?[ -]?){2,5}\\d{2,4}${AFTER}`),
  any(
    'phone',
    `${BEFORE}(?:phone|telephone|tel|fax|pager|beeper|cell|mobile|extension|ext|call)\\s?\\.?\\s*(?:number|no|#)?\\s*(?:at|:|is|#|on)?\\s*(\\d{3}[-. ]\\d{4}|\\d{4,10})${AFTER}`,
  ),
  any('email', `[\\w.%+-]+\\s?@\\s?[\\w-]+(?:\\.[\\w-]+)*\\.\\p{L}{2,}`),
  any('ssn', `(?<![\\d-])\\d{3}-\\d{2}-\\d{4}${AFTER}(?!-)`),
  any(
    'ssn',
    `${BEFORE}(?:ssn|social security(?: number| no)?)\\s*[:#.]?\\s*(?:is\\s+)?(\\d{3}[- ]?\\d{2}[- ]?\\d{4})${AFTER}`,
  ),
  any(
    'record-number',
    `${BEFORE}(?:mrn|medical record(?: number| no| #)?|record (?:number|no)|chart (?:number|no)|patient (?:id|identifier|number)|accession(?: number| no| #)?|acc(?:ession)?\\s?#|hospital (?:number|no))\\s*[:#.-]*\\s*(?:is\\s+)?${ID_VALUE}${AFTER}`,
  ),
  any(
    'identifier',
    `${BEFORE}(?:account|policy|member|beneficiary|insurance|certificate|license|licence|serial|device|vehicle|plate|passport|medicare|medicaid|npi)\\s*(?:id|number|no|#)?\\s*[:#.-]*\\s*(?:is\\s+)?${ID_VALUE}${AFTER}`,
  ),
  {
    // Vehicle identification number: 17 characters without I, O, Q, letters and digits mixed.
    ...cased('identifier', `${BEFORE}[A-HJ-NPR-Z0-9]{17}${AFTER}`),
    accept: match => /\d/.test(match[0]) && /[A-Z].*[A-Z]/.test(match[0]),
  },
  any('url', `https?\\s?:\\s?//[^\\s]+|${BEFORE}www\\.[^\\s]+`),
  any('url', `${BEFORE}(?<!@\\s?)[a-z0-9-]+(?:\\.[a-z0-9-]+)*\\.(?:com|org|net|edu|gov|info)${AFTER}(?:/[^\\s]*)?`),
  {
    ...any('ip-address', `(?<![\\d.])\\d{1,3}(?:\\.\\d{1,3}){3}(?![\\d.]*\\d)`),
    accept: match => match[0].split('.').every(part => Number(part) <= 255),
  },
  any('ip-address', `(?<![\\p{L}\\p{N}:])(?:[0-9a-f]{1,4}:){3,7}(?::?[0-9a-f]{1,4})+${AFTER}`),
];
