import { expect, test } from 'vitest';
import type { RecordOf } from '../../../src/contract/index.ts';
import { sagaHandler, type SagaRecord } from '../../../src/purchase/handle.ts';
import type { Decoder } from '../../../src/records/index.ts';

test('a saga’s own announcements cost no transaction: whoever took the step has asked what follows', async () => {
  const event: RecordOf<'PurchaseAdvanced'> = { event_id: '1', purchase_id: '2', user_id: '3', version: 2, fact: 'called', state: 'calling', reason: null, occurred_at: 0 };
  const source = { topic: 'brx.saga-events', partition: 0, offset: '1', timestamp: 0, key: null, value: null, headers: {} };
  const decoder = { decode: () => Promise.resolve([{ kind: 'event', type: 'PurchaseAdvanced', event, source }]) } as unknown as Decoder<SagaRecord>;
  const untouchable = new Proxy({}, { get: (_, name) => { throw new Error(`${String(name)} is used`); } }) as never;
  const handle = sagaHandler(decoder, { postgres: untouchable, clock: untouchable, purchase: untouchable, onRetry: () => undefined, consumerGroup: 'saga' });
  expect(await handle([source])).toEqual({ steps: [], operations: 0, deadLetters: [], enqueued: 0 });
});
