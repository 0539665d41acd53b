import { expect, test } from 'vitest';
import { RELAY_SESSION } from '../../../src/outbox/index.ts';
import { Shards } from '../../../src/outbox/shards.ts';
import type { Session } from '../../../src/platform/postgres/index.ts';
import { fakeClock } from '../../support/fake-clock.ts';

/** Protects: nobody believes in shards that the server may have given to somebody else. Sharing them out is in test/integration/outbox. */
const LEASE_MS = RELAY_SESSION.idleMs;

/** A session whose answers take as long as `latencyMs` says. */
function session(clock: ReturnType<typeof fakeClock>) {
  const state = { asked: 0, latencyMs: 0, lost: false };
  const fake: Session = {
    async query() {
      state.asked += 1;
      if (state.latencyMs > 0) await clock.sleep(state.latencyMs);
      if (state.lost) throw new Error('Connection terminated unexpectedly');
      return [];
    },
    get lost() {
      return state.lost;
    },
    close: () => Promise.resolve(),
  };
  return { fake, state };
}

test('a fresh answer is enough; after half a lease it is asked again', async () => {
  const clock = fakeClock();
  const { fake, state } = session(clock);
  const shards = new Shards(fake, clock);
  await shards.join();
  await clock.advance(LEASE_MS / 2 - 1);
  await shards.confirm();
  expect(state.asked).toBe(1);
  await clock.advance(1);
  await shards.confirm();
  expect(state.asked).toBe(2);
});

test('an answer that was under way for a whole lease proves nothing: the process may have been frozen meanwhile', async () => {
  const clock = fakeClock();
  const { fake, state } = session(clock);
  const shards = new Shards(fake, clock);
  await clock.advance(LEASE_MS / 2);
  state.latencyMs = LEASE_MS;
  const confirmed = expect(shards.confirm()).rejects.toMatchObject({ code: 'BRX_DATABASE_UNAVAILABLE' });
  await clock.advance(LEASE_MS);
  await confirmed;
});

test('a statement longer than a lease does not cost the shards: the server counts from its end', async () => {
  const clock = fakeClock();
  const { fake, state } = session(clock);
  const shards = new Shards(fake, clock);
  await clock.advance(3 * LEASE_MS);
  await shards.confirm();
  expect(state.asked).toBe(1);
});

test('a lost session is told at once', async () => {
  const clock = fakeClock();
  const { fake, state } = session(clock);
  const shards = new Shards(fake, clock);
  state.lost = true;
  await expect(shards.confirm()).rejects.toThrow('terminated');
});

test('the session is kept alive by more than one ping a lease, until it is over or lost', async () => {
  const clock = fakeClock();
  const { fake, state } = session(clock);
  const over = new AbortController();
  const kept = new Shards(fake, clock).keepAlive(over.signal);
  for (let passed = 0; passed < 2 * LEASE_MS; passed += 500) await clock.advance(500);
  expect(state.asked).toBeGreaterThanOrEqual(6);
  over.abort();
  await kept;

  const other = new Shards(fake, clock).keepAlive(new AbortController().signal);
  state.lost = true;
  await clock.advance(LEASE_MS);
  await other;
});
