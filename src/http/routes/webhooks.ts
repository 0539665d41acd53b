import { z } from 'zod';
import { route, type Route } from '../route.ts';
import { MAX_WEBHOOK_BYTES, type WebhookHandler } from '../webhooks.ts';

const params = z.object({ id: z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/) });

/** Where CardTrader calls. */
export function webhookRoute(take: WebhookHandler): Route {
  return route({
    method: 'POST',
    path: '/webhooks/cardtrader/{id}',
    access: 'signed',
    isLimited: false,
    summary: 'A webhook of CardTrader for a seller',
    description: 'Signed by CardTrader over the bytes of the body, in the header `Signature`. Answers with a word.',
    params,
    badParams: 'unknown_route',
    bytes: MAX_WEBHOOK_BYTES,
    problems: [],
    async handle({ params: { id }, body, signature }) {
      const given = body === undefined ? Buffer.alloc(0) : (body as Buffer | null);
      const { status, word } = await take({ userId: id, body: given, signature });
      return { status, body: { status: word } };
    },
  });
}
