import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isInventoryChanged, RECORDS, type InventoryChanged, type PurchaseCancelled, type PurchaseRequested } from '../../src/contract/index.ts';
import { createExpectation, generateEvents, POISON, publishWorkload, toLine, valueBytes, WORKLOAD_DEFAULTS, type GeneratedRecord, type WorkloadOptions } from '../../src/operations/generate/index.ts';
import { createZipf } from '../../src/operations/generate/zipf.ts';
import { createRandom } from '../../src/platform/random.ts';
import { readLine } from '../../src/operations/produce/lines.ts';
import type { OutgoingMessage } from '../../src/platform/kafka/index.ts';
import { fakeClock } from '../support/fake-clock.ts';

const AT = Date.UTC(2026, 10, 23);
const IDS = { InventoryChanged: 1, PurchaseSettled: 2, PurchaseRequested: 3, PurchaseCancelled: 4 };
const records = (options: Partial<WorkloadOptions> = {}): GeneratedRecord[] => [...generateEvents({ at: AT, ...options })];
const hash = (options: Partial<WorkloadOptions>): string => {
  const sum = createHash('sha256');
  for (const { key, timestamp, body } of generateEvents({ at: AT, events: 3_000, ...options })) sum.update(`${key} ${timestamp} ${valueBytes(body, IDS)?.toString('base64') ?? 'null'}\n`);
  return sum.digest('hex');
};
const valueOf = ({ body }: GeneratedRecord): InventoryChanged => ('raw' in body ? expect.fail('raw') : (body.value as InventoryChanged));
const share = (all: readonly GeneratedRecord[], ...intents: string[]): number => all.filter(({ intent }) => intents.includes(intent)).length / all.length;

describe('the same seed gives the same bytes', () => {
  test('twice', () => expect(hash({ seed: 5, poison: 0.05 })).toBe(hash({ seed: 5, poison: 0.05 })));
  test('as before there were purchases', () => expect(hash({ poison: 0.05, negative: 0.02 })).toBe('bd762ecd25119346be83440d677726839842a991f7adc113368780ac4e49ee2e'));
  test('with purchases too', () => expect(hash({ seed: 5, purchases: 0.2, cancels: 0.5 })).toBe(hash({ seed: 5, purchases: 0.2, cancels: 0.5 })));
  test('and another seed, or another time, others', () => expect(new Set([hash({ seed: 5 }), hash({ seed: 6 }), hash({ seed: 5 + 2 ** 32 }), hash({ seed: 5, at: AT + 1 })]).size).toBe(4));
});

describe('shares', () => {
  const all = records({ events: 40_000, poison: 0.02, negative: 0.01 });
  // Three standard deviations of the largest share at 40,000 events are 0.0075.
  test.each<[string, number, ...string[]]>([
    ['poison', 0.02, ...Object.keys(POISON)],
    ['duplicates', 0.05, 'duplicate', 'restamped'],
    ['stale', 0.02, 'stale'],
    ['negative', 0.01, 'negative'],
  ])('%s', (_name, wanted, ...intents) => expect(Math.abs(share(all, ...intents) - wanted)).toBeLessThan(0.004));
  test('new items: the share, and whatever a user without items begins with', () => expect(share(all, 'new')).toBeGreaterThan(0.145));
  test('one duplicate in five is stamped anew', () => expect(share(all, 'restamped') / share(all, 'restamped', 'duplicate')).toBeCloseTo(0.2, 1));
  test('every kind of poison', () => expect(new Set(all.map(({ intent }) => intent))).toEqual(new Set([...Object.keys(POISON), 'new', 'set', 'adjust', 'remove', 'negative', 'duplicate', 'restamped', 'stale'])));

  test('the mix is of known items only', () => {
    const only = records({ events: 5_000, mix: { set: 0, adjust: 0, remove: 1 }, newItems: 0.5, duplicates: 0, stale: 0, poison: 0, negative: 0 });
    expect(new Set(only.map(({ intent }) => intent))).toEqual(new Set(['new', 'remove']));
  });

  test('items a user: never more than asked for', () => {
    const items = new Map<string, Set<string>>();
    for (const record of records({ events: 10_000, users: 20, itemsPerUser: 7, poison: 0 })) items.set(record.key, (items.get(record.key) ?? new Set()).add(valueOf(record).item_id));
    expect(Math.max(...[...items.values()].map((set) => set.size))).toBe(7);
  });

  test('versions: only from the share of users whose producer sends them', () => {
    const some = records({ events: 5_000, users: 200, versioned: 0.3, poison: 0 });
    const versioned = new Set(some.filter((record) => valueOf(record).version !== null).map(({ key }) => key));
    expect(versioned.size / new Set(some.map(({ key }) => key)).size).toBeCloseTo(0.3, 0);
    expect(records({ events: 2_000, versioned: 0 }).filter(({ intent }) => !(intent in POISON)).some((record) => valueOf(record).version !== null)).toBe(false);
  });

  test('the most active of 1,000 users has 4.2 % at skew 0.7, and 12.9 % at 0.99', () => {
    const top = (exponent: number): number => {
      const counts = new Uint32Array(1_000);
      const next = createZipf(createRandom(3), 1_000, exponent);
      for (let draw = 0; draw < 100_000; draw += 1) counts[next()]! += 1;
      expect(Math.max(...counts)).toBe(counts[0]);
      return counts[0]! / 100_000;
    };
    expect(top(0.7)).toBeCloseTo(0.042, 2);
    expect(top(0.99)).toBeCloseTo(0.129, 2);
    const uniform = createZipf(createRandom(3), 10, 0);
    const seen = Array.from({ length: 10_000 }, uniform);
    expect(Math.abs(seen.filter((rank) => rank === 9).length - 1_000)).toBeLessThan(150);
  });
});

describe('what is generated is what it says', () => {
  const all = records({ events: 30_000, users: 300, poison: 0.03, negative: 0.02 });
  const good = all.filter(({ intent }) => !(intent in POISON));

  test('good events are good, keyed by their user, and in time order', () => {
    expect(good.filter((record) => !isInventoryChanged(valueOf(record)) || valueOf(record).user_id !== record.key)).toEqual([]);
    expect(all.every(({ timestamp }, index) => index === 0 || timestamp >= (all[index - 1]?.timestamp ?? 0))).toBe(true);
    expect(all.at(-1)?.timestamp).toBe(AT);
  });

  test('event ids are version 7 of their time, and only duplicates repeat one', () => {
    const seen = new Map<string, InventoryChanged>();
    for (const record of good) {
      const value = valueOf(record);
      const first = seen.get(value.event_id);
      expect(first !== undefined).toBe(record.intent === 'duplicate' || record.intent === 'restamped');
      if (record.intent === 'duplicate') expect(value).toEqual(first);
      if (record.intent === 'restamped') expect({ ...value, occurred_at: 0 }).toEqual({ ...first, occurred_at: 0 });
      seen.set(value.event_id, first ?? value);
      if (first === undefined) expect(Number.parseInt(value.event_id.replace('-', '').slice(0, 12), 16)).toBe(record.timestamp);
      expect(value.event_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }
  });

  test('duplicates come within a chunk and across chunks', () => {
    const first = new Map<string, number>();
    const distances: number[] = [];
    for (const [index, record] of good.entries()) {
      const id = valueOf(record).event_id;
      if (first.has(id)) distances.push(index - (first.get(id) ?? 0));
      else first.set(id, index);
    }
    const near = distances.filter((distance) => distance <= 500).length / distances.length;
    expect([near > 0.65, near < 0.8]).toEqual([true, true]);
    expect(Math.max(...distances)).toBeGreaterThan(5_000);
  });

  test('the oracle agrees with what was meant: stale is stale, negative is negative, each poison its reason', () => {
    const expectation = createExpectation({ horizonMs: WORKLOAD_DEFAULTS.horizonMs, at: AT });
    for (const record of all) expectation.add(record);
    const settled = expectation.settle();
    const { counts, intents } = settled;
    const reasons: Record<string, number> = {};
    for (const [kind, reason] of Object.entries(POISON)) reasons[reason] = (reasons[reason] ?? 0) + (intents[kind] ?? 0);
    const meant = (...names: string[]): number => names.reduce((sum, name) => sum + (intents[name] ?? 0), 0);
    expect(counts).toEqual({
      records: 30_000,
      applied: meant('new', 'set', 'adjust', 'remove'),
      stale: meant('stale'),
      rejected: 0,
      duplicate: meant('duplicate', 'restamped'),
      dead_letters: { ...reasons, would_go_negative: meant('negative'), out_of_range: 0, unknown_purchase: 0, discarded: 0 },
    });
    const stock = [...settled.items()];
    expect(stock.length).toBe(meant('new'));
    expect(stock.some(({ flags }) => flags === 2) && stock.some(({ flags }) => flags === 1)).toBe(true);
  });
});

describe('purchases', () => {
  const all = records({ events: 40_000, users: 200, itemsPerUser: 20, poison: 0, purchases: 0.1, cancels: 0.3 });
  const ofRecord = <T>(record: string): (GeneratedRecord & { value: T })[] => all.flatMap((each) => ('record' in each.body && each.body.record === record ? [{ ...each, value: each.body.value as T }] : []));
  const requests = ofRecord<PurchaseRequested>('PurchaseRequested');
  const cancels = ofRecord<PurchaseCancelled>('PurchaseCancelled');
  const again = (intent: string): boolean => intent === 'duplicate' || intent === 'restamped';

  test('the share, and of them the share that is called off', () => {
    const made = all.filter(({ intent }) => intent.startsWith('purchase')).length;
    expect(all.length).toBe(40_000);
    expect(made / all.length).toBeCloseTo(0.1, 1);
    expect(Math.abs(cancels.filter(({ intent }) => !again(intent)).length / made - 0.3)).toBeLessThan(0.04);
  });

  test('every kind of odd one is among them', () => {
    expect(new Set([...requests, ...cancels].map(({ intent }) => intent))).toEqual(new Set(['purchase', 'purchase_too_much', 'purchase_unknown_item', 'purchase_again', 'cancel', 'cancel_early', 'cancel_unknown', 'duplicate', 'restamped']));
    expect(new Set(requests.map(({ value }) => value.lines.length))).toEqual(new Set([1, 2, 3]));
    expect(new Set(requests.map(({ value }) => value.expires_at === null))).toEqual(new Set([true, false]));
  });

  test('all keep to the contract, keyed by their seller', () => {
    expect(requests.filter(({ key, value }) => !RECORDS.PurchaseRequested.schema.safeParse(value).success || value.user_id !== key)).toEqual([]);
    expect(cancels.filter(({ key, value }) => !RECORDS.PurchaseCancelled.schema.safeParse(value).success || value.user_id !== key)).toEqual([]);
  });

  test('an early cancellation comes before its purchase, an unknown one has none, another purchase event of the same sale another id', () => {
    const first = new Map<string, { index: number; events: Set<string> }>();
    for (const { timestamp, value } of requests) {
      const known = first.get(value.purchase_id) ?? { index: timestamp, events: new Set() };
      known.events.add(value.event_id);
      first.set(value.purchase_id, known);
    }
    const placed = (intent: string) => cancels.filter((cancel) => cancel.intent === intent).map(({ timestamp, value }) => ({ timestamp, purchase: first.get(value.purchase_id) }));
    expect(placed('cancel').filter(({ timestamp, purchase }) => purchase === undefined || purchase.index > timestamp)).toEqual([]);
    expect(placed('cancel_early').filter(({ timestamp, purchase }) => purchase !== undefined && purchase.index < timestamp).length).toBeLessThan(3); // sent again by then, as another event
    expect(placed('cancel_unknown').filter(({ purchase }) => purchase !== undefined)).toEqual([]);
    expect([...first.values()].filter(({ events }) => events.size > 1).length).toBeGreaterThan(50);
  });

  test('what must come of them cannot be said beforehand', () => {
    const expectation = createExpectation({ horizonMs: WORKLOAD_DEFAULTS.horizonMs, at: AT });
    expect(() => requests.slice(0, 1).forEach((record) => expectation.add(record))).toThrow(/depends on when the sales before them end/);
  });
});

test('the lines are what `produce --allow-raw` takes, and lead to the same bytes', () => {
  for (const record of records({ events: 3_000, poison: 0.2, purchases: 0.1, cancels: 0.3 })) {
    const line = readLine(toLine(record), { allowRaw: true });
    if (!line.ok) expect.fail(line.problem);
    const { prepared } = line;
    const wanted = valueBytes(record.body, IDS);
    const bytes = prepared.kind === 'record' ? valueBytes({ record: prepared.record, value: prepared.value } as GeneratedRecord['body'], IDS) : prepared.schema === null || wanted === null ? prepared.bytes : Buffer.concat([wanted.subarray(0, 5), prepared.bytes ?? Buffer.alloc(0)]);
    if (bytes === null || wanted === null ? bytes !== wanted : !bytes.equals(wanted)) expect.fail(`${record.intent}: ${toLine(record)}`);
    expect(prepared.key).toBe(record.key);
  }
});

test('without poison, every line is good for `produce` as it is', () => {
  expect(records({ events: 1_000, poison: 0 }).filter((record) => !readLine(toLine(record), { allowRaw: false }).ok)).toEqual([]);
});

test('options that cannot be are named, all of them', () => {
  expect(() => generateEvents({ at: AT, users: 0, poison: 2 }).next()).toThrow(/users: .*; poison: /);
  expect(() => generateEvents({ at: AT, duplicates: 0.6, stale: 0.6 }).next()).toThrow(/add up to more than 1/);
  expect(() => generateEvents({ at: 5, events: 100 }).next()).toThrow(/before 1970/);
});

describe('publishing', () => {
  test('sends everything once, in order, in batches that fit a broker', async () => {
    const batches: (readonly OutgoingMessage[])[] = [];
    const seen: GeneratedRecord[] = [];
    const progress: number[] = [];
    const done = await publishWorkload(generateEvents({ at: AT, events: 10_000 }), {
      producer: { connect: async () => {}, disconnect: async () => {}, sendBatch: async (messages) => void batches.push(messages) },
      topic: 't',
      schemaIds: IDS,
      clock: fakeClock(),
      onRecord: (record) => void seen.push(record),
      onProgress: ({ published }) => void progress.push(published),
    });
    expect(batches.flat().map(({ key, value }) => `${String(key)} ${value?.toString('hex') ?? 'null'}`)).toEqual(records({ events: 10_000 }).map(({ key, body }) => `${key} ${valueBytes(body, IDS)?.toString('hex') ?? 'null'}`));
    expect([seen.length, done.published, progress.at(-1)]).toEqual([10_000, 10_000, 10_000]);
    expect(Math.max(...batches.map((batch) => batch.reduce((bytes, { value }) => bytes + (value?.length ?? 0), 0)))).toBeLessThan(1_000_000);
  });

  test('with a rate: each record carries the time it was due, however long Kafka took', async () => {
    const clock = fakeClock({ now: AT });
    const sent: OutgoingMessage[] = [];
    const publishing = publishWorkload(generateEvents({ at: AT, events: 100 }), {
      producer: { connect: async () => {}, disconnect: async () => {}, sendBatch: async (messages) => clock.sleep(7).then(() => void sent.push(...messages)) },
      topic: 't',
      schemaIds: IDS,
      clock,
      rate: 1_000,
    });
    while (sent.length < 100) await clock.advance(1);
    await publishing;
    expect(sent.map(({ timestamp }) => Number(timestamp) - AT)).toEqual(Array.from({ length: 100 }, (_, index) => index));
  });

  test('a batch that fails ends it with the failure', async () => {
    const failing = { connect: async () => {}, disconnect: async () => {}, sendBatch: () => Promise.reject(new Error('away')) };
    await expect(publishWorkload(generateEvents({ at: AT, events: 10 }), { producer: failing, topic: 't', schemaIds: IDS, clock: fakeClock() })).rejects.toThrow('away');
  });
});
