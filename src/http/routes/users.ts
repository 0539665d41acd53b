import { z } from 'zod';
import type { ParkingDeps } from '../../ingest/index.ts';
import { pauseSeller, resumeSeller } from '../../marketplace/index.ts';
import { cursorOf, pageOf, readCursor, selectUser, selectUsers, type UserRow } from '../../operations/browse/index.ts';
import type { RedriveDeps } from '../../operations/redrive/index.ts';
import type { ReplayDeps } from '../../operations/replay/index.ts';
import type { Registry } from '../../platform/kafka/index.ts';
import type { Postgres, Readers } from '../../platform/postgres/index.ts';
import type { By, Operated, SagaVerb } from '../../purchase/index.ts';
import { after, id, limit, status, userModel, userPage, type UserAnswer } from '../models.ts';
import { byOf, operatorBody } from '../operator.ts';
import { noCursor } from '../places.ts';
import { Problem } from '../problems.ts';
import { route, type Route } from '../route.ts';
import { toText } from '../times.ts';
import type { LimitDeps } from './limits.ts';
import type { SelfDeps } from './overview.ts';

export interface ApiDeps {
  readonly readers: Readers;
  /** For what changes something. */
  readonly postgres: Postgres;
  readonly self: SelfDeps;
  /** Does what an operator says to a sale, and has it carried on. */
  readonly operate: (target: { userId: string; purchaseId: string }, verb: SagaVerb, by: By) => Promise<Operated>;
  readonly limits: LimitDeps;
  readonly redrive: RedriveDeps & { readonly registry: Registry };
  readonly parking: ParkingDeps;
  /** Of each group that can be set back. */
  readonly replays: readonly ReplayDeps[];
  /** Something was put into the outbox, or waits to be carried out. */
  readonly onEnqueued: () => void;
}

const MOST_USERS = 200;
const params = z.strictObject({ id });

/** Who has what here, how they stand on CardTrader, and the switch that keeps us from calling it for them. */
export function userRoutes({ readers, postgres }: Pick<ApiDeps, 'readers' | 'postgres'>): Route[] {
  const read = (userId: string, position?: string): Promise<UserAnswer & { items: number; listings: number }> =>
    readers.readFrom(async ({ prisma }) => {
      const row = await selectUser(prisma, userId);
      if (row === undefined) throw unknownUser(userId);
      return { ...userOf(row), items: row.items, listings: row.listings };
    }, { after: position });
  const move = (verb: 'pause' | 'resume', what: typeof pauseSeller, summary: string, description: string): Route =>
    route({
      method: 'POST',
      path: `/users/{id}/${verb}`,
      access: 'write',
      isLimited: true,
      summary,
      description: `${description} Written down with who and why. The answer has a \`position\`.`,
      params,
      body: operatorBody,
      answer: userModel,
      problems: ['invalid_request', 'unauthorized', 'forbidden', 'conflict', 'too_large', 'unsupported_media_type'],
      async handle({ params: { id: userId }, body }) {
        await what(postgres, userId, byOf(body));
        const position = await readers.position();
        return { body: { ...(await read(userId, position)), position } };
      },
    });

  return [
    route({
      method: 'GET',
      path: '/users',
      access: 'read',
      isLimited: true,
      summary: 'Users, in the order of their ids',
      query: z.strictObject({ cursor: z.string().optional(), limit: limit(MOST_USERS, 50), status: status.optional().meta({ description: 'of the account on CardTrader' }), after }),
      answer: userPage,
      problems: ['invalid_request', 'unauthorized'],
      async handle({ query: { cursor, limit: most, status: wanted, after: position } }) {
        const from = placeOf(cursor);
        const rows = await readers.readFrom(({ prisma }) => selectUsers(prisma, { status: wanted, after: from, most: most + 1 }), { after: position });
        const { rows: shown, next } = pageOf(rows, most, (row) => cursorOf(row.user_id));
        return { body: { users: shown.map(userOf), next_cursor: next } };
      },
    }),
    route({
      method: 'GET',
      path: '/users/{id}',
      access: 'read',
      isLimited: true,
      summary: 'A user: the account on CardTrader, what waits, what is amiss',
      params,
      query: z.strictObject({ after }),
      answer: userModel,
      problems: ['invalid_request', 'unauthorized', 'unknown_user'],
      handle: async ({ params: { id: userId }, query: { after: position } }) => ({ body: await read(userId, position) }),
    }),
    move('pause', pauseSeller, 'Call CardTrader no more for a user', 'Operations wait, and sales end at their deadlines.'),
    move('resume', resumeSeller, 'Let the operations of a paused user go on', 'Refused where CardTrader rejects the token.'),
  ];
}

/** Where a list goes on, for what a cursor says. */
export function placeOf(cursor: string | undefined): string | undefined {
  const place = cursor === undefined ? undefined : readCursor(cursor);
  if (cursor !== undefined && place === undefined) throw noCursor();
  return place;
}

export const unknownUser = (userId: string): Problem => new Problem('unknown_user', `${userId} has no items and no account on CardTrader here`, { remedy: 'GET /users lists who has' });

function userOf(row: UserRow): UserAnswer {
  const { user_id, status: state, status_at, added_at } = row;
  const account =
    state === null || status_at === null || added_at === null
      ? null
      : {
          status: state,
          status_reason: row.status_reason,
          status_at: status_at.toISOString(),
          seller_id: row.seller_id,
          app_name: row.app_name,
          added_at: added_at.toISOString(),
          token_checked_at: toText(row.token_checked_at),
          listing_sync: row.listing_sync ?? false,
          buffer: row.buffer ?? 0,
          circuit_open_until: toText(row.circuit_open_until),
          orders_read_at: toText(row.orders_read_at),
        };
  return {
    user_id,
    account,
    paused: state === 'paused',
    parked: row.parked_at === null ? null : { since: row.parked_at.toISOString(), reason: row.parked_reason ?? '', events: row.parked_events },
    drifted_items: row.drifted_items,
    oversold_items: row.oversold_items,
    mismatched_listings: row.mismatched_listings,
    open_operations: row.open_operations,
  };
}
