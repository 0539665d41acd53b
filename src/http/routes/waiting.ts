import { z } from 'zod';
import { selectParkedPage, type ParkedUser } from '../../ingest/index.ts';
import { pageOf } from '../../operations/browse/index.ts';
import { DEAD_LETTER_REASONS, selectDeadLetters, type DeadLetter, type DeadLetterReason } from '../../records/index.ts';
import { limit } from '../models.ts';
import { placeIn, writePlace } from '../places.ts';
import { route, type Model, type Route } from '../route.ts';
import { toText } from '../times.ts';
import type { ApiDeps } from './users.ts';

const MOST = 500;
const REASONS = Object.keys(DEAD_LETTER_REASONS) as [DeadLetterReason, ...DeadLetterReason[]];

const time = z.iso.datetime();
const next = z.string().nullable();
const parked = z.object({ user_id: z.uuid(), reason: z.string(), error: z.string(), since: time, attempts: z.int(), last_attempt_at: time.nullable(), events: z.int().meta({ description: 'that wait' }) });
const parkedPage = { name: 'ParkedPage', schema: z.object({ parked: z.array(parked).meta({ description: 'longest first' }), next_cursor: next }) } satisfies Model;
const deadLetter = z.object({
  id: z.string(),
  reason: z.enum(REASONS),
  means: z.string(),
  detail: z.string(),
  user_id: z.uuid().nullable(),
  event_id: z.uuid().nullable(),
  topic: z.string(),
  partition: z.int(),
  offset: z.string(),
  consumer_group: z.string(),
  at: time,
});
const deadLetterPage = { name: 'DeadLetterPage', schema: z.object({ dead_letters: z.array(deadLetter).meta({ description: 'newest first' }), next_cursor: next }) } satisfies Model;

const parkedPlace = z.tuple([z.int(), z.guid()]);
const letterPlace = z.tuple([z.string().regex(/^\d{1,18}$/)]);

/** What did not take effect: users whose events wait, and records that never will. */
export function waitingRoutes({ readers }: Pick<ApiDeps, 'readers'>): Route[] {
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
        const from = placeIn(cursor, parkedPlace);
        const rows = await readers.readFrom(({ prisma }) => selectParkedPage(prisma, { after: from && { parkedAt: from[0], userId: from[1] }, limit: most + 1 }));
        const { rows: shown, next: following } = pageOf(rows, most, (last) => writePlace([last.parkedAt.getTime(), last.userId]));
        return { body: { parked: shown.map(parkedOf), next_cursor: following } };
      },
    }),
    route({
      method: 'GET',
      path: '/dead-letters',
      access: 'read',
      isLimited: true,
      summary: 'Records that took no effect and were neither sent again nor given up, with the reason; `brx-sync dlq list --json` has their bytes',
      query: z.strictObject({ cursor: z.string().optional(), limit: limit(MOST, 50), reason: z.enum(REASONS).optional() }),
      answer: deadLetterPage,
      problems: ['invalid_request', 'unauthorized'],
      async handle({ query: { cursor, limit: most, reason } }) {
        const from = placeIn(cursor, letterPlace);
        const rows = await readers.readFrom(({ prisma }) => selectDeadLetters(prisma, { states: ['open'], ...(reason !== undefined && { reasons: [reason] }) }, { order: 'newest', limit: most + 1, ...(from !== undefined && { after: BigInt(from[0]) }) }));
        const { rows: shown, next: following } = pageOf(rows, most, (last) => writePlace([String(last.id)]));
        return { body: { dead_letters: shown.map(letterOf), next_cursor: following } };
      },
    }),
  ];
}

function parkedOf({ userId, reason, error, parkedAt, attempts, lastAttemptAt, events }: ParkedUser): z.input<typeof parked> {
  return { user_id: userId, reason, error, since: parkedAt.toISOString(), attempts, last_attempt_at: toText(lastAttemptAt), events };
}

function letterOf({ id, reason, detail, userId, eventId, consumerGroup, createdAt, source }: DeadLetter): z.input<typeof deadLetter> {
  return { id: String(id), reason, means: DEAD_LETTER_REASONS[reason], detail, user_id: userId, event_id: eventId, topic: source.topic, partition: source.partition, offset: source.offset, consumer_group: consumerGroup, at: createdAt.toISOString() };
}
