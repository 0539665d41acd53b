/** What a blueprint of CardTrader is in our catalogue, and how Redis is told. Pure. */

export const PRINT_TABLES = ['cards_prints', 'op_prints', 'pk_prints', 'sealed_products'] as const;
export type PrintTable = (typeof PRINT_TABLES)[number];

/** A row of the catalogue. */
export interface Print {
  readonly table: PrintTable;
  readonly id: number;
}

/** `ambiguous`: the catalogue names the blueprint more than once; `prints` are all of them, by table and id. Nobody picks one. */
export type Mapping = { readonly kind: 'print'; readonly print: Print } | { readonly kind: 'unknown' } | { readonly kind: 'ambiguous'; readonly prints: readonly Print[] };

export const MAPPING_KINDS = ['print', 'unknown', 'ambiguous'] as const satisfies readonly Mapping['kind'][];

const UNKNOWN: Mapping = Object.freeze({ kind: 'unknown' });

/** The mapping that these rows are, in any order. */
export function mappingOf(prints: readonly Print[]): Mapping {
  const [print, ...more] = prints;
  if (print === undefined) return UNKNOWN;
  if (more.length === 0) return { kind: 'print', print };
  return { kind: 'ambiguous', prints: prints.toSorted((a, b) => PRINT_TABLES.indexOf(a.table) - PRINT_TABLES.indexOf(b.table) || a.id - b.id) };
}

/** `cards_prints:17`, `unknown`, or several prints separated by blanks. */
export function mappingText(mapping: Mapping): string {
  switch (mapping.kind) {
    case 'unknown':
      return 'unknown';
    case 'print':
      return printText(mapping.print);
    case 'ambiguous':
      return mapping.prints.map(printText).join(' ');
  }
}

export const printText = ({ table, id }: Print): string => `${table}:${id}`;

/** The mapping behind a text; undefined if it is not one of ours, which is as good as none. */
export function readMapping(text: string): Mapping | undefined {
  if (text === 'unknown') return UNKNOWN;
  const prints: Print[] = [];
  for (const part of text.split(' ')) {
    const colon = part.indexOf(':');
    const table = PRINT_TABLES.find((name) => name === part.slice(0, colon));
    const digits = part.slice(colon + 1);
    if (table === undefined || !/^[1-9]\d{0,15}$/.test(digits)) return undefined;
    prints.push({ table, id: Number(digits) });
  }
  return prints.every(({ id }) => Number.isSafeInteger(id)) ? mappingOf(prints) : undefined;
}

/** CardTrader's ids are positive whole numbers. */
export const isBlueprintId = (id: number): boolean => Number.isSafeInteger(id) && id > 0;
