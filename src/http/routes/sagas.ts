import { z } from 'zod';
import { pageOf } from '../../operations/browse/index.ts';
import { ENDED, operationWords, readStory, refusalOf, selectSaga, selectSagas, standing, STATES, timeline, type SagaRow, type SagaStory, type SagaVerb } from '../../purchase/index.ts';
import { id, limit } from '../models.ts';
import { byOf, operatorBody } from '../operator.ts';
import { placeIn, placeTime, writePlace } from '../places.ts';
import { Problem } from '../problems.ts';
import { route, type Model, type Route } from '../route.ts';
import type { ApiDeps } from './users.ts';

const MOST_SAGAS = 200;
const VERBS = ['retry', 'compensate', 'confirm', 'resolve'] as const;
type VerbName = (typeof VERBS)[number];

const time = z.iso.datetime();
const refused = z.object({ problem: z.string(), remedy: z.string().nullable() }).nullable().meta({ description: 'why it would be refused; null: it would not, as far as can be seen' });
const saga = z.object({
  purchase_id: z.uuid(),
  user_id: z.uuid().meta({ description: 'the seller' }),
  event_id: z.uuid().meta({ description: 'that asked for it' }),
  state: z.enum(STATES),
  reason: z.string().nullable().meta({ description: 'why it ended so, or needs an operator' }),
  currency: z.string(),
  lines: z.array(z.object({ item_id: z.uuid(), quantity: z.int(), unit_price_cents: z.int() })),
  started_at: time,
  updated_at: time,
  next_look_at: time.nullable().meta({ description: 'null: it has ended' }),
});
const story = saga.extend({
  standing: z.string().meta({ description: 'how it stands, in words' }),
  cancellation_waits: z.boolean(),
  operations: z.array(z.object({ operation_id: z.uuid(), item_id: z.uuid(), state: z.string(), words: z.string() })).meta({ description: 'on CardTrader' }),
  timeline: z.array(z.object({ at: time, words: z.string(), is_call: z.boolean().meta({ description: 'a call of an operation rather than a step of the sale' }) })).meta({ description: 'oldest first' }),
  refusals: z.object({ retry: refused, compensate: refused, confirm: refused, resolve: refused }).meta({ description: 'what an operator can do' }),
});
const sagaPage = { name: 'SagaPage', schema: z.object({ sagas: z.array(saga), next_cursor: z.string().nullable() }) } satisfies Model;
const sagaModel = { name: 'Saga', schema: z.object({ sagas: z.array(story).meta({ description: 'one, unless several sellers have a purchase of this id' }) }) } satisfies Model;
const operated = { name: 'Operated', schema: z.object({ purchase_id: z.uuid(), user_id: z.uuid(), before: z.enum(STATES), after: z.enum(STATES) }) } satisfies Model;

const params = z.strictObject({ purchase: id });
const body = operatorBody.extend({
  user: id.optional().meta({ description: 'the seller, if several have a purchase of this id' }),
});
const verdict = body.extend({ applied: z.boolean().meta({ description: 'whether the operations that cannot be told took effect on CardTrader' }), operations: z.array(id).min(1).optional().meta({ description: 'only these' }) });
const OPEN = STATES.filter((state) => !ENDED.has(state));
const place = z.tuple([placeTime, z.guid(), z.guid()]);

/** Sales: how they stand, why, and what an operator can do about them, as `brx-sync saga` has it. */
export function sagaRoutes({ readers, postgres, operate }: Pick<ApiDeps, 'readers' | 'postgres' | 'operate'>): Route[] {
  const verb = <Body extends typeof body>(name: VerbName, summary: string, shape: Body, verbOf: (given: z.output<Body>) => SagaVerb): Route =>
    route({
      method: 'POST',
      path: `/sagas/{purchase}/${name}`,
      access: 'write',
      isLimited: true,
      summary,
      description: 'Decided from how the sale stands when it is done, whatever was seen before; written down with who and why.',
      params,
      body: shape,
      answer: operated,
      problems: ['invalid_request', 'unauthorized', 'forbidden', 'unknown_purchase', 'conflict', 'too_large', 'unsupported_media_type'],
      async handle({ params: { purchase }, body: given }) {
        const [target, other] = await selectSaga(postgres.prisma, purchase, given.user);
        if (target === undefined) throw unknownPurchase(purchase);
        if (other !== undefined) throw new Problem('conflict', `several sellers have a purchase ${purchase}`, { remedy: 'say which: user' });
        const { userId, purchaseId } = target;
        const { before, after } = await operate({ userId, purchaseId }, verbOf(given), byOf(given));
        return { body: { purchase_id: purchaseId, user_id: userId, before, after } };
      },
    });
  return [
    route({
      method: 'GET',
      path: '/sagas',
      access: 'read',
      isLimited: true,
      summary: 'Sales, oldest first; those that have not ended unless told otherwise',
      query: z.strictObject({ cursor: z.string().optional(), limit: limit(MOST_SAGAS, 50), state: z.enum(STATES).optional(), user: id.optional() }),
      answer: sagaPage,
      problems: ['invalid_request', 'unauthorized'],
      async handle({ query: { cursor, limit: most, state, user } }) {
        const from = placeIn(cursor, place);
        const rows = await readers.readFrom(({ prisma }) =>
          selectSagas(prisma, { states: state === undefined ? OPEN : [state], ...(user !== undefined && { userId: user }), after: from && { startedAt: from[0], purchaseId: from[1], userId: from[2] }, limit: most + 1 }),
        );
        const { rows: shown, next: following } = pageOf(rows, most, (last) => writePlace([last.startedAt.getTime(), last.purchaseId, last.userId]));
        return { body: { sagas: shown.map(sagaOf), next_cursor: following } };
      },
    }),
    route({
      method: 'GET',
      path: '/sagas/{purchase}',
      access: 'read',
      isLimited: true,
      summary: 'The story of a sale, in words, and what an operator can do',
      params,
      query: z.strictObject({ user: id.optional() }),
      answer: sagaModel,
      problems: ['invalid_request', 'unauthorized', 'unknown_purchase'],
      async handle({ params: { purchase }, query: { user } }) {
        const stories = await readers.readFrom(({ prisma }) => readStory(prisma, purchase, user), { maxLagMs: 0 });
        if (stories.length === 0) throw unknownPurchase(purchase);
        return { body: { sagas: stories.map((one) => storyOf(one, postgres.clock.now())) } };
      },
    }),
    verb('retry', 'Do now what a sale waits for', body, () => ({ verb: 'retry' })),
    verb('compensate', 'Undo a sale on both sides, a confirmed one too', body, () => ({ verb: 'compensate' })),
    verb('confirm', 'Let a sale stand: what is open has been done on CardTrader, by us or by hand', body, () => ({ verb: 'confirm' })),
    verb('resolve', 'Say what became of operations that cannot be told', verdict, ({ applied, operations }) => ({ verb: 'resolve', applied, ...(operations !== undefined && { operations }) })),
  ];
}

const unknownPurchase = (purchase: string): Problem => new Problem('unknown_purchase', `there is no purchase ${purchase}: no PurchaseRequested of this id has taken effect`, { remedy: 'GET /sagas lists what is under way' });

function sagaOf({ purchaseId, userId, eventId, state, reason, stuck, currency, lines, startedAt, updatedAt, nextActionAt }: SagaRow): z.input<typeof saga> {
  return { purchase_id: purchaseId, user_id: userId, event_id: eventId, state, reason: reason ?? stuck, currency, lines: lines.map(({ item_id, quantity, unit_price_cents }) => ({ item_id, quantity, unit_price_cents })), started_at: startedAt.toISOString(), updated_at: updatedAt.toISOString(), next_look_at: nextActionAt?.toISOString() ?? null };
}

function storyOf(one: SagaStory, now: number): z.input<typeof story> {
  const refusal = (verb: SagaVerb): z.input<typeof refused> => {
    const found = refusalOf(one.saga, one.operations, verb);
    return found === null ? null : { problem: found.problem, remedy: found.remedy ?? null };
  };
  return {
    ...sagaOf(one.saga),
    standing: standing(one, now),
    cancellation_waits: one.saga.cancelled && one.saga.state !== 'COMPENSATED',
    operations: one.operations.map((operation) => ({ operation_id: operation.id, item_id: operation.itemId, state: operation.state, words: operationWords(operation) })),
    timeline: timeline(one).map(({ at, text, detail }) => ({ at: new Date(at).toISOString(), words: text, is_call: detail })),
    refusals: { retry: refusal({ verb: 'retry' }), compensate: refusal({ verb: 'compensate' }), confirm: refusal({ verb: 'confirm' }), resolve: refusal({ verb: 'resolve', applied: true }) },
  };
}
