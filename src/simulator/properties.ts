import type { Guesses } from './guesses.ts';
import type { Blueprint, EditableProperty, Properties, PropertyValue } from './model.ts';

/** A product's properties as asked for, or why the item fails. Warnings are by property, in CardTrader's words where they are known. */
export type ReadProperties = { readonly ok: true; readonly properties: Properties; readonly warnings: Warnings } | { readonly ok: false; readonly errors: string[] };
export type Warnings = Readonly<Record<string, readonly string[]>>;

/** Fixed by the card on every blueprint, whether or not the blueprint names them. */
const READ_ONLY = ['collector_number', 'mtg_rarity', 'mtg_card_colors', 'cmc', 'tournament_legal'];

/** Names under which people send languages; the value is what CardTrader stores. */
const LANGUAGES: Readonly<Record<string, string>> = {
  english: 'en',
  french: 'fr',
  german: 'de',
  italian: 'it',
  japanese: 'jp',
  korean: 'kr',
  portuguese: 'pt',
  russian: 'ru',
  spanish: 'es',
  'simplified chinese': 'zh-CN',
  'traditional chinese': 'zh-TW',
};

/**
 * Reads the `properties` of a create (`previous` undefined: what is left out takes the blueprint's default) or an update.
 * With `error_mode: "strict"` one wrong property fails the item; otherwise a wrong value silently becomes the default, which is
 * how a wrong condition ends as Near Mint. A read-only property is ignored with a warning in both modes.
 */
export function readProperties(blueprint: Blueprint, given: unknown, options: { strict: boolean; previous: Properties | undefined; guesses: Guesses }): ReadProperties {
  const { strict, previous, guesses } = options;
  const properties: Record<string, PropertyValue> = {};
  for (const property of blueprint.editable_properties) properties[property.name] = (guesses.omittedOnUpdate === 'keep' ? previous?.[property.name] : undefined) ?? defaultOf(property);
  const warnings: Record<string, string[]> = {};
  const errors: string[] = [];
  for (const [sentName, sent] of Object.entries(isRecord(given) ? given : {})) {
    const name = guesses.aliases ? (canonicalName(blueprint, sentName) ?? sentName) : sentName;
    const property = blueprint.editable_properties.find((one) => one.name === name);
    if (property === undefined) {
      if (READ_ONLY.includes(name) || Object.hasOwn(blueprint.fixed_properties, name)) warnings[name] = [`Read only property ${name} has been ignored`];
      else if (strict) errors.push(`Unknown property ${name}`);
      else warnings[name] = [`Unknown property ${name} has been ignored`];
      continue;
    }
    const value = allowed(property, sent, guesses.aliases);
    if (value !== undefined) {
      properties[name] = value;
    } else if (strict) {
      errors.push(`Not allowed value ${String(sent)} for ${name}`);
    } else {
      warnings[name] = [`Not allowed value ${String(sent)} for ${name} has been ignored`];
      if (previous === undefined || guesses.wrongValueOnUpdate === 'default') properties[name] = defaultOf(property);
    }
  }
  return errors.length > 0 ? { ok: false, errors } : { ok: true, properties, warnings };
}

/** Two products are the same card in the same state. */
export function sameProperties(a: Properties, b: Properties): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

function defaultOf(property: EditableProperty): PropertyValue {
  return property.type === 'boolean' ? property.default_value === 'true' : property.default_value;
}

/** The allowed value that is meant, or undefined. Booleans may come as text, as their defaults do. */
function allowed(property: EditableProperty, sent: unknown, aliases: boolean): PropertyValue | undefined {
  const exact = property.possible_values.find((value) => value === sent || (property.type === 'boolean' && String(value) === sent));
  if (exact !== undefined || !aliases || typeof sent !== 'string' || !property.name.endsWith('_language')) return exact;
  const code = LANGUAGES[sent.toLowerCase()];
  return property.possible_values.find((value) => value === code);
}

/** `foil` → `mtg_foil`: the one editable property that ends so, if there is exactly one. */
function canonicalName(blueprint: Blueprint, name: string): string | undefined {
  if (blueprint.editable_properties.some((property) => property.name === name)) return name;
  const ending = blueprint.editable_properties.filter((property) => property.name.endsWith(`_${name}`));
  return ending.length === 1 ? ending[0]?.name : undefined;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
