import { expect, test } from 'vitest';
import { fakeConsumer } from '../support/fake-consumer.ts';

/** Protects: a consumer that only crashes ends the process; one that is back after each outage, with nothing to read in between, does not. */
async function crashing() {
  const { clock, fatal, tell } = await fakeConsumer();
  return { clock, fatal, crash: (restart = true) => tell('CRASH', { error: new Error('retries exceeded'), restart, groupId: 'g' }) };
}

test('crash after crash, each restarted, ends the process with the sixth', async () => {
  const { clock, fatal, crash } = await crashing();
  for (let n = 0; n < 5; n += 1) {
    crash();
    await clock.advance(90_000);
  }
  expect(fatal).toEqual([]);
  crash();
  expect(fatal).toMatchObject([{ code: 'BRX_KAFKA_FATAL' }]);
});

test('one that does not come back ends it at once', async () => {
  const { fatal, crash } = await crashing();
  crash(false);
  expect(fatal).toMatchObject([{ code: 'BRX_KAFKA_FATAL' }]);
});

test('an outage a day of a topic without records is none', async () => {
  const { clock, fatal, crash } = await crashing();
  for (let day = 0; day < 30; day += 1) {
    for (let n = 0; n < 3; n += 1) {
      crash();
      await clock.advance(90_000);
    }
    await clock.advance(86_400_000);
  }
  expect(fatal).toEqual([]);
});
