/** The kinds of protected health information the scan tells apart (HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i), as far as text can hold them). */
export const PHI_KINDS = [
  'name',
  'address',
  'date',
  'age-over-89',
  'phone',
  'email',
  'ssn',
  'record-number',
  'identifier',
  'url',
  'ip-address',
] as const;

export type PhiKind = (typeof PHI_KINDS)[number];
