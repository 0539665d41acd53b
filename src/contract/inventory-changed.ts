import { InventoryChangedSchema, type InventoryChanged } from './records.ts';
import { EXACT_LONG_MAX, explain, isCurrency, isStorable, isTime, isUuid, LIMITS } from './rules.ts';

/**
 * The source of changes that BRX Sync itself publishes for orders on CardTrader; reserved. They tell what has happened there already, so they
 * are never refused for want of stock, and the upstream, which did not cause them, is told of them as InventoryLevel.
 */
export const CARDTRADER_SOURCE = 'cardtrader';

/**
 * The one record that arrives by the ten thousand a second gets a hand-written acceptor. zod is asked only when it refuses, to
 * say why: 0.9 µs an event instead of 3.5. test/contract/agreement.test.ts proves that both accept and refuse the same values.
 *
 * It does not look for undeclared fields: a decoded Avro record cannot have any.
 */
export function isInventoryChanged(value: unknown): value is InventoryChanged {
  if (typeof value !== 'object' || value === null) return false;
  const event = value as Record<keyof InventoryChanged, unknown>;
  return (
    uuid(event.event_id) &&
    uuid(event.user_id) &&
    uuid(event.item_id) &&
    quantity(event.kind, event.quantity) &&
    (event.price_cents === null || longFrom(event.price_cents, 0)) &&
    (event.currency === null || (typeof event.currency === 'string' && isCurrency(event.currency))) &&
    (event.blueprint_id === null || longFrom(event.blueprint_id, 1)) &&
    (event.properties === null || properties(event.properties)) &&
    (event.version === null || longFrom(event.version, -EXACT_LONG_MAX)) &&
    text(event.source, 1, LIMITS.source) &&
    longFrom(event.occurred_at, 0) &&
    isTime(event.occurred_at)
  );
}

export type Validated = { ok: true; event: InventoryChanged } | { ok: false; detail: string };

/** A decoded value as an event, or what is wrong with it in words. Fields left out count as null. */
export function validateInventoryChanged(value: unknown): Validated {
  if (isInventoryChanged(value)) return { ok: true, event: value };
  const result = InventoryChangedSchema.safeParse(value);
  return result.success ? { ok: true, event: result.data } : { ok: false, detail: explain(result.error) };
}

const uuid = (value: unknown): boolean => typeof value === 'string' && isUuid(value);
const longFrom = (value: unknown, min: number): value is number => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= EXACT_LONG_MAX;
const text = (value: unknown, min: number, max: number): boolean => typeof value === 'string' && value.length >= min && value.length <= max && isStorable(value);

function quantity(kind: unknown, value: unknown): boolean {
  if (typeof value !== 'number' || (value | 0) !== value) return false;
  switch (kind) {
    case 'SET':
      return value >= 0;
    case 'ADJUST':
      return true;
    case 'REMOVE':
      return value === 0;
    default:
      return false;
  }
}

function properties(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  let count = 0;
  for (const key in value) {
    count += 1;
    if (key === '__proto__') return false;
    if (!text(key, 1, LIMITS.propertyKey) || !text((value as Record<string, unknown>)[key], 0, LIMITS.propertyValue)) return false;
  }
  return count <= LIMITS.properties;
}
