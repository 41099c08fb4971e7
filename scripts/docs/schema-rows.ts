/** A TypeBox schema (plain JSON Schema) as the rows of a reference table. */

/** What these pages need to know of a schema; everything else in it is passed over. */
interface Node {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Node[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly patternProperties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly items?: Node | readonly Node[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly default?: unknown;
  readonly description?: string;
}

export interface Row {
  /** With dots: "vocabulary.minPatients". */
  readonly field: string;
  /** Type and range: "integer, 1 to 64". */
  readonly accepts: string;
  /** As JSON; "required" where a value must be given, "optional" where it may be left out. */
  readonly fallback: string;
  readonly description: string;
}

/** One row a leaf, in the schema's order; nested objects are flattened. */
export function schemaRows(schema: object, prefix = ''): Row[] {
  const { properties = {}, required = [] } = schema as Node;
  return Object.entries(properties).flatMap(([key, node]) => {
    const field = prefix + key;
    if (node.properties !== undefined) return schemaRows(node, `${field}.`);
    const missing = required.includes(key) ? 'required' : 'optional';
    return [
      {
        field,
        accepts: accepts(node),
        fallback: node.default === undefined ? missing : `\`${JSON.stringify(node.default)}\``,
        description: node.description ?? '',
      },
    ];
  });
}

function accepts(node: Node): string {
  if (node.const !== undefined) return literal(node.const);
  if (node.enum !== undefined) return node.enum.map(literal).join(', ');
  if (node.anyOf !== undefined) return node.anyOf.map(accepts).join(', ');
  if (node.patternProperties !== undefined) return 'mapping';
  if (Array.isArray(node.items)) return `[${node.items.map(accepts).join('; ')}]`;
  if (node.type === 'array') return `list${lengthOf(node)} of ${accepts((node.items as Node | undefined) ?? {})}`;
  if (node.type === 'string') return node.pattern === undefined ? 'text' : `text, \`${node.pattern}\``;
  return `${node.type ?? 'any'}${rangeOf(node)}`;
}

const literal = (value: unknown): string => `\`${String(value)}\``;

function lengthOf({ minItems, maxItems }: Node): string {
  if (minItems === undefined && maxItems === undefined) return '';
  if (minItems === maxItems) return ` (exactly ${minItems})`;
  return maxItems === undefined ? ` (at least ${minItems})` : ` (${minItems ?? 0} to ${thousands(maxItems)})`;
}

function rangeOf({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Node): string {
  const low = minimum ?? exclusiveMinimum;
  const high = maximum ?? exclusiveMaximum;
  const above = exclusiveMinimum === undefined ? '' : 'above ';
  const below = exclusiveMaximum === undefined ? '' : 'below ';
  if (low !== undefined && high !== undefined) return `, ${above}${thousands(low)} to ${below}${thousands(high)}`;
  if (low !== undefined) return `, ${above === '' ? 'at least ' : above}${thousands(low)}`;
  return high === undefined ? '' : `, ${below === '' ? 'at most ' : below}${thousands(high)}`;
}

const thousands = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 6 });
