import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { partitionOf } from '../../../src/contract/index.ts';
import { BrxError } from '../../../src/errors.ts';
import { bytesOf, publishInOrder, requests } from '../../../src/outbox/publish.ts';
import type { OutboxRow } from '../../../src/outbox/rows.sql.ts';
import type { OutgoingMessage } from '../../../src/platform/kafka/index.ts';
import { uuid } from '../../support/events.ts';
import { seed } from '../../support/seed.ts';

/** Protects: a row that Kafka refuses is found wherever it stands, stops its user and nobody else, and order is kept. */
const row = (id: number, user: number | null, more: Partial<OutboxRow> = {}): OutboxRow => {
  const userId = user === null ? null : uuid(user);
  return { id: BigInt(id), shard: 0, partition: null, userId, eventId: null, topic: 't', key: userId === null ? null : Buffer.from(userId), value: Buffer.from(String(id)), headers: null, ...more };
};
const idOf = (message: OutgoingMessage): number => Number(message.value?.toString());

/** Kafka as a broker behaves: of each partition of a request all or nothing, and one refused record fails its partition and the request. */
function broker(refused: ReadonlySet<number>) {
  const log: OutgoingMessage[] = [];
  let sends = 0;
  return {
    log,
    get sends() {
      return sends;
    },
    send: (messages: readonly OutgoingMessage[]): Promise<void> => {
      sends += 1;
      const partition = (message: OutgoingMessage): number => (message.key === null ? 0 : partitionOf(message.key.toString(), 3));
      const failed = new Set(messages.filter((message) => refused.has(idOf(message))).map(partition));
      for (const message of messages) if (!failed.has(partition(message))) log.push(message);
      return failed.size === 0 ? Promise.resolve() : Promise.reject(new BrxError('BRX_KAFKA_REFUSED', 'too large'));
    },
  };
}

describe('publishInOrder', () => {
  test(`finds every refused row; of its user nothing behind it is published, of everyone else everything, in order (seed ${seed})`, async () => {
    const given = fc.record({
      users: fc.array(fc.option(fc.integer({ min: 1, max: 6 }), { freq: 8 }), { maxLength: 60 }),
      refused: fc.array(fc.nat({ max: 59 }), { maxLength: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(given, async ({ users, refused }) => {
        const rows = users.map((user, index) => row(index, user));
        const { log, send } = broker(new Set(refused));
        const result = await publishInOrder(rows, send);

        // What should come of it, row by row.
        const [published, blocked, stopped] = [[] as bigint[], [] as bigint[], new Set<string>()];
        for (const { id, userId } of rows) {
          if (userId !== null && stopped.has(userId)) continue;
          if (!refused.includes(Number(id))) published.push(id);
          else {
            blocked.push(id);
            if (userId !== null) stopped.add(userId);
          }
        }
        expect(result.rows.map(({ id }) => id)).toEqual(published);
        expect(result.refused.map(({ row: { id } }) => id)).toEqual(blocked);
        if (blocked.length === 0) expect(result.refusedBytes).toBe(Infinity);

        // First occurrences in the log: all that counts as published, each user's in order.
        const first = [...new Set(log.map(idOf))];
        expect(first.toSorted((a, b) => a - b).map(BigInt)).toEqual(published);
        for (const user of new Set(users)) {
          const mine = first.filter((id) => users[id] === user);
          if (user !== null) expect(mine).toEqual(mine.toSorted((a, b) => a - b));
        }
      }),
      { seed },
    );
  });

  test('one refused row among 1,000 costs about twenty requests', async () => {
    const kafka = broker(new Set([617]));
    const { refused } = await publishInOrder(Array.from({ length: 1_000 }, (_, index) => row(index, index)), kafka.send);
    expect(refused).toHaveLength(1);
    expect(kafka.sends).toBeLessThan(25);
  });

  test('rows that are refused together, and taken apart: the smallest request that was too much is known, however large one for several partitions may be', async () => {
    // Five rows of a partition are too many for its topic; users 1 and 2 are of different partitions.
    const send = (messages: readonly OutgoingMessage[]): Promise<void> => {
      const counts = new Map<number, number>();
      for (const { key } of messages) counts.set(partitionOf(String(key), 3), (counts.get(partitionOf(String(key), 3)) ?? 0) + 1);
      return Math.max(...counts.values()) > 4 ? Promise.reject(new BrxError('BRX_KAFKA_REFUSED', 'too large')) : Promise.resolve();
    };
    expect(partitionOf(uuid(1), 3)).not.toBe(partitionOf(uuid(2), 3));
    const rows = [...Array.from({ length: 12 }, (_, index) => row(10 + index, 1)), ...Array.from({ length: 4 }, (_, index) => row(30 + index, 1)), ...Array.from({ length: 8 }, (_, index) => row(40 + index, 2 + (index % 2) * 4))];
    const { rows: published, refused, refusedBytes } = await publishInOrder(rows, send);
    expect([published.length, refused]).toEqual([rows.length, []]);
    expect(refusedBytes).toBe(bytesOf(rows.slice(0, 6)));
  });

  test('what is not a refusal is thrown, and nothing more is sent', async () => {
    const sent: number[][] = [];
    const send = (messages: readonly OutgoingMessage[]): Promise<void> => {
      sent.push(messages.map(idOf));
      return Promise.reject(new BrxError(sent.length === 1 ? 'BRX_KAFKA_REFUSED' : 'BRX_KAFKA_UNAVAILABLE', 'no'));
    };
    await expect(publishInOrder([row(1, 1), row(2, 2), row(3, 3), row(4, 4)], send)).rejects.toMatchObject({ code: 'BRX_KAFKA_UNAVAILABLE' });
    expect(sent).toEqual([[1, 2, 3, 4], [1, 2]]);
  });

  test('a record carries its event id, its headers and, only if it has one, its own partition', async () => {
    const { log, send } = broker(new Set());
    const headers: OutboxRow['headers'] = [['a', 'eA=='], ['none', null], ['twice', 'MQ=='], ['twice', null], ['__proto__', 'eA=='], ['brx-event-id', 'b2xk']];
    await publishInOrder([row(1, 7, { eventId: uuid(9), headers }), row(2, 7), row(3, null, { partition: 5, key: Buffer.from('k'), value: null })], send);
    expect(log[0]).toMatchObject({ topic: 't', key: Buffer.from(uuid(7)), value: Buffer.from('1') });
    expect(new Map(Object.entries(log[0]?.headers ?? {}))).toEqual(new Map<string, unknown>([['a', Buffer.from('x')], ['none', ''], ['twice', [Buffer.from('1'), '']], ['__proto__', Buffer.from('x')], ['brx-event-id', uuid(9)]]));
    expect(log[1]?.headers).toEqual({});
    expect('partition' in (log[1] ?? {})).toBe(false);
    expect(log[2]).toMatchObject({ partition: 5, key: Buffer.from('k'), value: null });
  });
});

describe('requests', () => {
  test(`cut nothing out and nothing apart, in order, as long as they may be (seed ${seed})`, () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 4_000 }), { maxLength: 40 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1_000, max: 8_000 }), (given, most) => {
        const rows = given.map((bytes, index) => row(index, index, { key: null, value: Buffer.alloc(bytes), headers: [] }));
        const size = (part: readonly OutboxRow[]): number => part.reduce((sum, { value }) => sum + 500 + (value?.length ?? 0), 0);
        const cut = requests(rows, most);
        expect(cut.flat()).toEqual(rows);
        for (const [index, part] of cut.entries()) {
          expect(part.length === 1 || size(part) <= most).toBe(true);
          const next = cut[index + 1]?.[0];
          if (next !== undefined) expect(size([...part, next])).toBeGreaterThan(most);
        }
      }),
      { seed },
    );
  });

  test('keys and headers count too', () => {
    const large = row(1, 1, { key: Buffer.alloc(400), headers: [['a'.repeat(300), 'b'.repeat(300)]] });
    expect(requests([large, large], 3_010)).toHaveLength(1);
    expect(requests([large, large], 2_990)).toHaveLength(2);
  });
});
