import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { webhookContext } from '../../../src/marketplace/index.ts';
import { createWebhookReceiver, type WebhookOutcome } from '../../../src/orders/index.ts';
import type { Postgres } from '../../../src/platform/postgres/index.ts';
import { createKeyring } from '../../../src/platform/secrets/index.ts';
import { uuid } from '../../support/events.ts';

/**
 * Protects: calls that come in together share one look and one write, and nothing else. A seller whose secret does not open, because its key was taken away, or
 * somebody who posts nonsense for such a seller, keeps nobody else’s webhooks out.
 */
test('a secret that does not open is a matter of its seller alone', async () => {
  const key = (id: string, byte: number) => ({ id, key: Buffer.alloc(32, byte).toString('base64') });
  const keyring = createKeyring([key('now', 1)]);
  const [well, ill] = [uuid(1), uuid(2)];
  const rows = [
    { userId: well, ...keyring.seal('secret', webhookContext(well)) },
    { userId: ill, ...createKeyring([key('taken-away', 2)]).seal('secret', webhookContext(ill)) },
  ];
  let looks = 0;
  const prisma = {
    $queryRawUnsafe: (_sql: string, _users: string, envelopes?: string) => {
      if (envelopes !== undefined) return Promise.resolve([{ userId: well, envelopeId: 'one' }]);
      looks += 1;
      return Promise.resolve(rows);
    },
  };
  const outcomes: WebhookOutcome[] = [];
  const problems: string[] = [];
  const receive = createWebhookReceiver({ postgres: { prisma } as unknown as Postgres, keyring, onOutcome: (outcome) => outcomes.push(outcome), onAccepted: () => undefined, onProblem: (problem) => problems.push(problem) });
  const body = Buffer.from(JSON.stringify({ id: 'one', cause: 'order.create', object_class: 'Order', object_id: 7 }));
  const signature = createHmac('sha256', 'secret').update(body).digest('base64');

  const answers = await Promise.all([ill, well, ill].map((userId) => receive({ userId, body, signature })));
  expect(looks).toBe(1);
  expect(answers.map(({ status }) => status)).toEqual([503, 200, 503]);
  expect(outcomes.toSorted()).toEqual(['accepted', 'unavailable', 'unavailable']);
  expect(problems[0]).toMatch(new RegExp(`${ill}.*taken-away`));
});
