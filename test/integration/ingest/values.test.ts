import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXACT_LONG_MAX, LATEST_MS, LIMITS, type InventoryChanged } from '../../../src/contract/index.ts';
import { validRecord } from '../../contract/records.ts';
import { change, randomUuid } from '../../support/events.ts';
import { createIngestWorld, itemOf, type IngestWorld } from '../../support/ingest.ts';
import { seed } from '../../support/seed.ts';

/** Protects: every value the contract allows arrives in PostgreSQL as it was sent. */
let world: IngestWorld;
beforeAll(async () => {
  world = await createIngestWorld();
  await world.start();
});
afterAll(() => world.close());

const numberOf = (text: string | null): number | null => (text === null ? null : Number(text));

async function sendAndRead(event: InventoryChanged): Promise<Record<string, unknown>> {
  await world.sendEvents(event);
  await world.processed();
  const item = await itemOf(world.pool, event.user_id, event.item_id);
  const [row] = await world.rows<{ at: string; cause: string; quantity: number; delta: number; version: string | null }>('SELECT extract(epoch FROM occurred_at) * 1000 AS at, cause, quantity, delta, version FROM stock_ledger WHERE event_id = $1', event.event_id);
  return {
    ...item,
    price_cents: numberOf(item?.price_cents ?? null),
    blueprint_id: numberOf(item?.blueprint_id ?? null),
    version: numberOf(item?.version ?? null),
    occurred_at: Number(row?.at),
    source: row?.cause,
    ledger_version: numberOf(row?.version ?? null),
    delta: row?.delta,
  };
}

describe('texts', () => {
  const odd = ['"quoted"', 'back\\slash', '{braces}', 'comma, semicolon;', 'NULL', 'null', ' spaces ', 'tab\tnewline\nreturn\r', "it's", '$1', '😀👩‍👩‍👧‍👦', 'Ǆ ﬁ Ω', '\u0001\u001f\u007f', '\u202eright to left', '\ufeffbom', 'é vs é', '%s %d', '<script>'];

  test.each(odd)('%j as the source', async (source) => {
    expect(await sendAndRead(change({ source }))).toMatchObject({ source });
  });

  test('as keys and values of properties', async () => {
    const properties = Object.fromEntries(odd.map((text, index) => [text, odd.at(-index) ?? '']));
    expect(await sendAndRead(change({ properties: { ...properties, empty: '' } }))).toMatchObject({ properties: { ...properties, empty: '' } });
  });

  test('as long and as many as allowed', async () => {
    const properties = Object.fromEntries(Array.from({ length: LIMITS.properties }, (_, n) => [`${n}`.padStart(LIMITS.propertyKey, 'k'), 'ü'.repeat(LIMITS.propertyValue)]));
    const source = '\u{1f0a1}'.repeat(LIMITS.source / 2);
    expect(await sendAndRead(change({ properties, source }))).toMatchObject({ properties, source });
  });
});

describe('numbers', () => {
  const MOST = EXACT_LONG_MAX;
  test.each<[Partial<InventoryChanged>]>([
    [{ price_cents: MOST, blueprint_id: MOST, version: MOST, quantity: 2_147_483_647 }],
    [{ price_cents: 0, blueprint_id: 1, version: -MOST, quantity: 0 }],
  ])('%j', async (said) => {
    const { quantity, ...rest } = said;
    const read = await sendAndRead(change(said));
    expect(read).toMatchObject({ ...rest, on_hand: quantity, delta: quantity, ledger_version: said.version });
  });

  test('the widest change there is, down and up', async () => {
    const [user, item] = [randomUuid(), randomUuid()];
    const most = 2_147_483_647;
    await world.sendEvents(change({ user_id: user, item_id: item, quantity: most }));
    expect(await sendAndRead(change({ user_id: user, item_id: item, kind: 'ADJUST', quantity: -most }))).toMatchObject({ on_hand: 0, delta: -most });
    expect(await sendAndRead(change({ user_id: user, item_id: item, kind: 'ADJUST', quantity: -2_147_483_648 }))).toMatchObject({ on_hand: 0, delta: 0 });
    expect(await sendAndRead(change({ user_id: user, item_id: item, kind: 'ADJUST', quantity: most }))).toMatchObject({ on_hand: most });
  });

  test('versions next to each other at the far end are still told apart', async () => {
    const [user, item] = [randomUuid(), randomUuid()];
    await world.sendEvents(change({ user_id: user, item_id: item, quantity: 1, version: MOST - 1 }));
    expect(await sendAndRead(change({ user_id: user, item_id: item, quantity: 2, version: MOST }))).toMatchObject({ on_hand: 2, version: MOST });
    await world.sendEvents(change({ user_id: user, item_id: item, quantity: 3, version: MOST }));
    await world.processed();
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 2 });
  });

  test('times to the millisecond', async () => {
    for (const occurred_at of [Date.now(), Date.now() - 29 * 86_400_000 + 1, LATEST_MS - 1]) expect(await sendAndRead(change({ occurred_at }))).toMatchObject({ occurred_at });
  });
});

test(`whatever is valid (seed ${seed})`, async () => {
  const events = fc.sample(validRecord.InventoryChanged, { seed, numRuns: 400 }).map((value, index) => {
    const event = value as unknown as InventoryChanged;
    return { ...event, event_id: randomUuid(), occurred_at: Date.now() + index, ...(event.kind === 'ADJUST' && event.quantity < 0 ? { quantity: 5 } : {}) };
  });
  await world.sendEvents(...events);
  await world.processed();
  for (const event of events) {
    const [item] = await world.rows('SELECT on_hand, price_cents::float8, currency, blueprint_id::float8, properties, version::float8 FROM inventory_items WHERE user_id = $1 AND item_id = $2', event.user_id, event.item_id);
    const { quantity, price_cents, currency, blueprint_id, properties, version } = event;
    expect(item).toEqual({ on_hand: quantity, price_cents, currency, blueprint_id, properties, version });
  }
});
