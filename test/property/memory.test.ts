import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { InventoryChanged } from '../../src/contract/index.ts';
import { decide } from '../../src/ingest/chunk.ts';
import { change, entry, folds, uuid } from '../support/events.ts';

/** Protects P9: the fold's memory is one chunk's, however long the backlog. */
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const EVENTS = 1_000_000;
const CHUNK = 1_000;
const ITEMS = 20_000;
/** A ledger row alone is some 100 bytes: were it kept for every event, the heap would have grown by 100 MB and more. */
const MOST_GROWTH_MB = 8;
/** Everything a chunk needs at once, garbage included. */
const MOST_CHUNK_MB = 30;

const heapMb = (): number => process.memoryUsage().heapUsed / 1_048_576;

test('a million events, chunk after chunk, leave nothing behind', () => {
  const users = Array.from({ length: ITEMS / 20 }, (_, n) => uuid(n));
  const items = Array.from({ length: ITEMS }, (_, n) => uuid(1_000_000 + n));
  // What the database would hold: numbers, so that what grows on the heap is the fold's.
  const onHand = new Int32Array(ITEMS);
  const template = change({ version: null });
  const eventOf = (n: number): InventoryChanged => ({ ...template, event_id: uuid(5_000_000 + n), user_id: users[n % users.length]!, item_id: items[n % ITEMS]!, kind: n % 7 === 0 ? 'SET' : 'ADJUST', quantity: n % 7 === 0 ? 100 : (n % 5) - 2 });
  const known = { inLedger: new Set<string>(), parkedEvents: new Set<string>(), parkedUsers: new Set<string>(), buried: new Set<string>() };

  let [rows, after, most] = [0, 0, 0];
  for (let from = 0; from < EVENTS; from += CHUNK) {
    // After the first tenth everything that is made once (compiled code, typed arrays) is there.
    if (from === EVENTS / 10) {
      collect();
      after = heapMb();
    }
    const before = heapMb();
    const both = folds();
    const fold = both.stock;
    const entries = Array.from({ length: CHUNK }, (_, index) => entry(eventOf(from + index)));
    entries.forEach(({ event }, index) => Object.assign(fold.touch(event.user_id, event.item_id), { exists: true, onHand: onHand[(from + index) % ITEMS] }));
    decide(entries, both, { tooOldBefore: 0 }, known);
    entries.forEach(({ event }, index) => (onHand[(from + index) % ITEMS] = fold.touch(event.user_id, event.item_id).onHand));
    rows += fold.ledger.length;
    expect(fold.itemsToWrite().length).toBe(CHUNK);
    most = Math.max(most, heapMb() - before);
  }
  collect();
  expect(rows).toBe(EVENTS);
  expect(heapMb() - after).toBeLessThan(MOST_GROWTH_MB);
  expect(most).toBeLessThan(MOST_CHUNK_MB);
}, 60_000);
