import { z } from 'zod';
import { selectItemsOfEvent, selectItemsOfId, selectUser } from '../../operations/browse/index.ts';
import type { Readers } from '../../platform/postgres/index.ts';
import { selectSaga } from '../../purchase/index.ts';
import { id } from '../models.ts';
import { route, type Model, type Route } from '../route.ts';

const found = z.object({ kind: z.enum(['user', 'item', 'purchase', 'event']), user_id: z.uuid(), item_id: z.uuid().nullable(), purchase_id: z.uuid().nullable() });
const foundModel = { name: 'Found', schema: z.object({ found: z.array(found).meta({ description: 'empty: nothing here has this id' }) }) } satisfies Model;

/** What an id is of, for somebody who was told nothing else. */
export function findRoute({ readers }: { readonly readers: Readers }): Route {
  return route({
    method: 'GET',
    path: '/find/{id}',
    access: 'read',
    isLimited: true,
    summary: 'What an id is of: a user, a purchase, an event or an item',
    params: z.strictObject({ id }),
    answer: foundModel,
    problems: ['invalid_request', 'unauthorized'],
    async handle({ params: { id: wanted } }) {
      return readers.readFrom(async ({ prisma }) => {
        const hits: z.input<typeof found>[] = [];
        if ((await selectUser(prisma, wanted)) !== undefined) hits.push({ kind: 'user', user_id: wanted, item_id: null, purchase_id: null });
        for (const { userId, purchaseId } of await selectSaga(prisma, wanted)) hits.push({ kind: 'purchase', user_id: userId, item_id: null, purchase_id: purchaseId });
        for (const hit of await selectItemsOfEvent(prisma, wanted)) hits.push({ kind: 'event', ...hit, purchase_id: null });
        // Last, and only if it is nothing else: it costs most.
        if (hits.length === 0) for (const hit of await selectItemsOfId(prisma, wanted)) hits.push({ kind: 'item', ...hit, purchase_id: null });
        return { body: { found: hits } };
      });
    },
  });
}
