import { z } from 'zod';
import { discardParkedEvents, parkedTarget, readWaiting, rehearseParkedUser, retryParkedUser, selectParkedPage, selectParkedUsers, type ParkedUser, type Rehearsed } from '../../ingest/index.ts';
import { pageOf } from '../../operations/browse/index.ts';
import { selectActions } from '../../platform/postgres/index.ts';
import { hideBuyer } from '../buyers.ts';
import { action, actionOf, id, limit } from '../models.ts';
import { byOf, operatorBody } from '../operator.ts';
import { placeIn, placeTime, writePlace } from '../places.ts';
import { Problem } from '../problems.ts';
import { route, type Model, type Route } from '../route.ts';
import { toText } from '../times.ts';
import type { ApiDeps } from './users.ts';

const MOST = 500;

const time = z.iso.datetime();
const parked = z.object({ user_id: z.uuid(), reason: z.string(), error: z.string(), since: time, attempts: z.int(), last_attempt_at: time.nullable(), events: z.int().meta({ description: 'that wait' }) });
const event = z.object({
  event_id: z.uuid(),
  place: z.string().meta({ description: 'topic/partition@offset it came from' }),
  record: z.string().nullable().meta({ description: 'null: it cannot be read' }),
  value: z.unknown().meta({ description: 'what it says, without who buys' }),
  outcome: z.string().nullable().meta({ description: 'of a dry run, what would come of it; null: it is refused, or behind one that is' }),
  error: z.string().nullable().meta({ description: 'of a dry run, why it is refused' }),
});
const parkedPage = { name: 'ParkedPage', schema: z.object({ parked: z.array(parked).meta({ description: 'longest first' }), next_cursor: z.string().nullable() }) } satisfies Model;
const parkedModel = { name: 'Parked', schema: z.object({ parked, waiting: z.array(event).meta({ description: 'in order, at most 500' }), actions: z.array(action) }) } satisfies Model;
const retried = {
  name: 'ParkedRetry',
  schema: z.object({ dry_run: z.boolean(), applied: z.int(), remaining: z.int().meta({ description: '0: the user is released' }), error: z.string().nullable().meta({ description: 'why it stopped, if it did' }), waiting: z.array(event).nullable().meta({ description: 'of a dry run: what would come of each' }) }),
} satisfies Model;
const discarded = { name: 'ParkedDiscard', schema: z.object({ discarded: z.int(), remaining: z.int() }) } satisfies Model;

const params = z.strictObject({ user: id });
const place = z.tuple([placeTime, z.guid()]);
const CHANGES = ['invalid_request', 'unauthorized', 'forbidden', 'conflict', 'too_large', 'unsupported_media_type', 'not_parked'] as const;

/** Users whose events wait because one of them failed, and what can be done, as `brx-sync parked` has it. */
export function parkedRoutes({ readers, parking, onEnqueued }: Pick<ApiDeps, 'readers' | 'parking' | 'onEnqueued'>): Route[] {
  const mustBeParked = async (userId: string): Promise<ParkedUser> => {
    const [found] = await selectParkedUsers(parking.postgres.prisma, userId);
    if (found === undefined) throw new Problem('not_parked', `user ${userId} is not parked`, { remedy: 'nothing of theirs waits; GET /parked lists who is' });
    return found;
  };
  return [
    route({
      method: 'GET',
      path: '/parked',
      access: 'read',
      isLimited: true,
      summary: 'Users whose events wait because one of them failed',
      query: z.strictObject({ cursor: z.string().optional(), limit: limit(MOST, 50) }),
      answer: parkedPage,
      problems: ['invalid_request', 'unauthorized'],
      async handle({ query: { cursor, limit: most } }) {
        const from = placeIn(cursor, place);
        const rows = await readers.readFrom((reader) => selectParkedPage(reader.prisma, { after: from && { parkedAt: from[0], userId: from[1] }, limit: most + 1 }));
        const { rows: shown, next } = pageOf(rows, most, (last) => writePlace([last.parkedAt.getTime(), last.userId]));
        return { body: { parked: shown.map(parkedOf), next_cursor: next } };
      },
    }),
    route({
      method: 'GET',
      path: '/parked/{user}',
      access: 'read',
      isLimited: true,
      summary: 'The events that wait with a parked user, in order, and what was done',
      params,
      answer: parkedModel,
      problems: ['invalid_request', 'unauthorized', 'not_parked'],
      async handle({ params: { user: userId } }) {
        await mustBeParked(userId);
        const { user, events } = await readWaiting(parking, userId);
        return { body: { parked: parkedOf(user), waiting: events.map(eventOf), actions: (await selectActions(parking.postgres.prisma, parkedTarget(userId))).map(actionOf) } };
      },
    }),
    route({
      method: 'POST',
      path: '/parked/{user}/retry',
      access: 'write',
      isLimited: true,
      summary: 'Apply what waits with a parked user, in order, and release the user',
      description: 'What is refused again, and all behind it, goes on waiting. With `dry_run` only told. Written down with who and why.',
      params,
      body: operatorBody.extend({ dry_run: z.boolean().default(false) }),
      answer: retried,
      problems: CHANGES,
      async handle({ params: { user: userId }, body }) {
        await mustBeParked(userId);
        if (body.dry_run) {
          const { user, events } = await rehearseParkedUser(parking, userId);
          const applied = events.filter(({ outcome }) => outcome !== null).length;
          return { body: { dry_run: true, applied, remaining: user.events - applied, error: events.find(({ error }) => error !== null)?.error ?? null, waiting: events.map(eventOf) } };
        }
        const { applied, remaining, error } = await retryParkedUser(parking, userId, byOf(body));
        onEnqueued();
        return { body: { dry_run: false, applied, remaining, error: error ?? null, waiting: null } };
      },
    }),
    route({
      method: 'POST',
      path: '/parked/{user}/discard',
      access: 'write',
      isLimited: true,
      summary: 'Give up on the first waiting event of a parked user, the one that was refused, or on all of them',
      description: 'It becomes a dead letter `discarded`, and stays discarded in a replay. What waits behind it needs a retry. Written down with who and why.',
      params,
      body: operatorBody.extend({ all: z.boolean().default(false), event: id.optional().meta({ description: 'the event that is meant to be the first: refused if it is another one by now' }) }),
      answer: discarded,
      problems: CHANGES,
      async handle({ params: { user: userId }, body }) {
        await mustBeParked(userId);
        const { all, event: meant } = body;
        if (meant !== undefined && (await readWaiting(parking, userId)).events[0]?.eventId !== meant) throw new Problem('conflict', `another event of user ${userId} waits first by now`, { remedy: 'look again before you give one up' });
        const done = await discardParkedEvents(parking, userId, { ...byOf(body), all });
        onEnqueued();
        return { body: done };
      },
    }),
  ];
}

function parkedOf({ userId, reason, error, parkedAt, attempts, lastAttemptAt, events }: ParkedUser): z.input<typeof parked> {
  return { user_id: userId, reason, error, since: parkedAt.toISOString(), attempts, last_attempt_at: toText(lastAttemptAt), events };
}

const eventOf = ({ eventId, place: from, entry, outcome, error }: Rehearsed): z.input<typeof event> => ({ event_id: eventId, place: from, record: entry.kind === 'event' ? entry.type : null, value: entry.kind === 'event' ? hideBuyer(entry.event) : null, outcome, error: error ?? (entry.kind === 'dead' ? entry.detail : null) });
