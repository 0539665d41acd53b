import { z } from 'zod';
import { BrxError, ERROR_CODES } from '../../errors.ts';
import { correct, outcomesOf, redrive, redriveOne, type RedriveResult } from '../../operations/redrive/index.ts';
import { pageOf } from '../../operations/browse/index.ts';
import { selectActions } from '../../platform/postgres/index.ts';
import { countDeadLetters, DEAD_LETTER_REASONS, discardDeadLetters, inspect, type Inspected, LETTER_STATES, letterTarget, selectDeadLetters, type DeadLetter, type DeadLetterReason, type LetterFilter } from '../../records/index.ts';
import { giveBuyerBack, hideBuyer } from '../buyers.ts';
import { action, actionOf, id, limit } from '../models.ts';
import { byOf, operatorBody, STORABLE } from '../operator.ts';
import { placeIn, writePlace } from '../places.ts';
import { Problem } from '../problems.ts';
import { route, type Model, type Route } from '../route.ts';
import type { ApiDeps } from './users.ts';

const MOST = 500;
/** Of one request; whoever wants more goes on behind the last one. */
const MOST_AT_ONCE = 500;
/** Longer than this nobody waits for an answer: a rate that needs more is kept by asking for fewer at a time. */
const LONGEST_MS = 8_000;
const MOST_COUNTED = 100_000;
const REASONS = Object.keys(DEAD_LETTER_REASONS) as [DeadLetterReason, ...DeadLetterReason[]];
const OUTCOMES = ['ok', 'stale', 'rejected', 'parked', 'dead', 'sent', 'handled', 'would_send', 'duplicate', 'too_old', 'superseded', 'unfit'] as const satisfies readonly RedriveResult['outcome'][];

const time = z.iso.datetime();
const letterId = z.string().regex(/^[1-9]\d{0,17}$/, { error: 'must be the id of a dead letter' });
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
  state: z.enum(LETTER_STATES),
});
const page = { name: 'DeadLetterPage', schema: z.object({ dead_letters: z.array(deadLetter).meta({ description: 'newest first' }), next_cursor: z.string().nullable() }) } satisfies Model;
const result = z.object({
  id: z.string(),
  outcome: z.enum(OUTCOMES).meta({ description: 'ok, stale, rejected, parked, dead: what became of it; sent: nothing shows it yet; would_send: of a dry run; handled: somebody else was quicker; else it was not sent' }),
  detail: z.string(),
  was: z.enum(REASONS),
  user_id: z.uuid().nullable(),
  event_id: z.uuid().nullable(),
  dead_letter: z.string().nullable().meta({ description: 'that it has become again' }),
});
const outcomes = { name: 'RedriveOutcomes', schema: z.object({ results: z.array(result) }) } satisfies Model;
const redriven = {
  name: 'Redriven',
  schema: outcomes.schema.extend({
    dry_run: z.boolean(),
    matching: z.int().meta({ description: 'open ones that are meant, these among them; of the newest 100,000' }),
    next_after: z.string().nullable().meta({ description: 'hand it on as `after` for those that follow; null: these were all' }),
  }),
} satisfies Model;
const discarded = { name: 'Discarded', schema: z.object({ dry_run: z.boolean(), matching: z.int(), discarded: z.array(z.string()) }) } satisfies Model;
const detail = {
  name: 'DeadLetter',
  schema: deadLetter.extend({
    key: z.string().nullable(),
    headers: z.array(z.object({ name: z.string(), value: z.string() })),
    record: z.string().nullable().meta({ description: 'which its schema says it is' }),
    value: z.unknown().meta({ description: 'what it says, without who buys; null: it cannot be read, `problem` says why' }),
    problem: z.string().nullable(),
    length: z.int().nullable().meta({ description: 'bytes of the value; `brx-sync dlq show` has them' }),
    redrive_of: z.string().nullable().meta({ description: 'the dead letter whose redrive it was' }),
    became: result.nullable().meta({ description: 'of one that was sent again' }),
    actions: z.array(action),
  }),
} satisfies Model;

const which = {
  ids: z.array(letterId).min(1).max(MOST_AT_ONCE).optional(),
  cause: z.array(z.enum(REASONS)).min(1).optional().meta({ description: 'only of these reasons' }),
  user: id.optional(),
  event: id.optional(),
  topic: z.string().min(1).max(249).refine(...STORABLE).optional(),
  since: z.iso.datetime({ offset: true }).optional().meta({ description: 'buried at or after' }),
  until: z.iso.datetime({ offset: true }).optional().meta({ description: 'buried before' }),
};
const many = operatorBody.extend({
  ...which,
  limit: z.int().min(1).max(MOST_AT_ONCE).default(100).meta({ description: 'at most so many, oldest first' }),
  dry_run: z.boolean().default(true).meta({ description: 'false: really do it' }),
});
const redriveBody = many.extend({
  after: letterId.optional(),
  rate: z.int().min(1).max(100_000).optional().meta({ description: 'so many a second' }),
  anyway: z.boolean().default(false).meta({ description: 'also those that something newer has superseded, or that this version still refuses' }),
  value: z.record(z.string(), z.unknown()).optional().meta({ description: 'of one dead letter: this value instead, with the same event_id; a buyer that was not shown stays who it was' }),
  record: z.string().min(1).max(200).optional().meta({ description: 'which record the value is of, where the dead letter does not say' }),
});
const place = z.tuple([z.string().regex(/^\d{1,18}$/)]);
const CHANGES = ['invalid_request', 'unauthorized', 'forbidden', 'conflict', 'too_large', 'unsupported_media_type'] as const;

/** Records that took no effect: which, why, and what can be done about them, as `brx-sync dlq` has it. */
export function deadLetterRoutes({ readers, redrive: deps, onEnqueued }: Pick<ApiDeps, 'readers' | 'redrive' | 'onEnqueued'>): Route[] {
  const matching = async (filter: LetterFilter): Promise<number> => (await countDeadLetters(deps.postgres.prisma, { ...filter, states: ['open'] }, { newest: MOST_COUNTED })).reduce((sum, { letters }) => sum + letters, 0);
  return [
    route({
      method: 'GET',
      path: '/dead-letters',
      access: 'read',
      isLimited: true,
      summary: 'Records that took no effect, with the reason; those that were neither sent again nor given up unless told otherwise',
      query: z.strictObject({ cursor: z.string().optional(), limit: limit(MOST, 50), reason: z.enum(REASONS).optional(), user: id.optional(), state: z.enum(LETTER_STATES).default('open') }),
      answer: page,
      problems: ['invalid_request', 'unauthorized'],
      async handle({ query: { cursor, limit: most, reason, user, state } }) {
        const from = placeIn(cursor, place);
        const filter: LetterFilter = { states: [state], ...(reason !== undefined && { reasons: [reason] }), ...(user !== undefined && { userId: user }) };
        const rows = await readers.readFrom((reader) => selectDeadLetters(reader.prisma, filter, { order: 'newest', limit: most + 1, ...(from !== undefined && { after: BigInt(from[0]) }) }));
        const { rows: shown, next } = pageOf(rows, most, (last) => writePlace([String(last.id)]));
        return { body: { dead_letters: shown.map(letterOf), next_cursor: next } };
      },
    }),
    route({
      method: 'GET',
      path: '/dead-letters/outcomes',
      access: 'read',
      isLimited: true,
      summary: 'What became of dead letters that were sent again, as far as anything shows it',
      query: z.strictObject({ ids: z.string().transform((text) => text.split(',')).pipe(z.array(letterId).min(1).max(MOST_AT_ONCE)).meta({ description: 'separated by commas' }) }),
      answer: outcomes,
      problems: ['invalid_request', 'unauthorized'],
      handle: async ({ query: { ids } }) => ({ body: { results: (await outcomesOf(deps, ids.map(BigInt))).map(resultOf) } }),
    }),
    route({
      method: 'GET',
      path: '/dead-letters/{letter}',
      access: 'read',
      isLimited: true,
      summary: 'One dead letter: what it says, why it took no effect, what was done about it',
      params: z.strictObject({ letter: letterId }),
      answer: detail,
      problems: ['invalid_request', 'unauthorized', 'unknown_dead_letter'],
      async handle({ params: { letter: wanted } }) {
        const letter = await letterNamed(deps, BigInt(wanted), undefined);
        const read = await inspect(deps.codec, letter.source).catch((error: unknown): Inspected => {
          if (error instanceof BrxError && error.retryable) return { schemaId: null, record: null, value: null, problem: ERROR_CODES[error.code].meaning };
          throw error;
        });
        const [became] = await outcomesOf(deps, [letter.id]);
        const { key, value, headers } = letter.source;
        return {
          body: {
            ...letterOf(letter),
            key: key?.toString() ?? null,
            headers: Object.entries(headers).flatMap(([name, values]) => [values].flat().map((one) => ({ name, value: String(one ?? '') }))),
            record: read.record,
            value: hideBuyer(read.value) ?? null,
            problem: read.problem,
            length: value?.length ?? null,
            redrive_of: letter.redriveOf === null ? null : String(letter.redriveOf),
            became: became === undefined ? null : resultOf(became),
            actions: (await selectActions(deps.postgres.prisma, letterTarget(letter.id))).map(actionOf),
          },
        };
      },
    }),
    route({
      method: 'POST',
      path: '/dead-letters/redrive',
      access: 'write',
      isLimited: true,
      summary: 'Tell what would come of sending dead letters again, or send them',
      description: 'A dry run unless `dry_run` is false. Which ones must be said; only open ones are sent, oldest first, each once, with key, headers and id as they were. Written down with who and why. GET /dead-letters/outcomes tells what becomes of each.',
      body: redriveBody,
      answer: redriven,
      problems: CHANGES,
      async handle({ body }) {
        const { limit: most, rate, dry_run: dryRun, anyway, after, value, record } = body;
        const filter = filterOf(body);
        if (!dryRun && rate !== undefined && (most / rate - 1) * 1_000 > LONGEST_MS) throw invalid('body.limit', `${most} at ${rate} a second takes longer than ${LONGEST_MS / 1_000} s: ask for fewer at a time`);
        const run = { dryRun, anyway, by: byOf(body), waitMs: 0, signal: new AbortController().signal, onProgress: () => undefined };
        const all = await matching(filter);
        if (value !== undefined) {
          const [one, other] = body.ids ?? [];
          if (one === undefined || other !== undefined) throw invalid('body.value', 'a correction is of one dead letter: name it in ids');
          const letter = await letterNamed(deps, BigInt(one), 'open');
          const corrected = await correct(deps, letter, { value: giveBuyerBack(value, (await inspect(deps.codec, letter.source)).value), set: [], ...(record !== undefined && { record }) }, anyway);
          const results = await redriveOne(deps, corrected.planned, run);
          if (!dryRun) onEnqueued();
          return { body: { dry_run: dryRun, matching: all, results: results.map(resultOf), next_after: null } };
        }
        const results = await redrive(deps, { ...run, filter, limit: most, look: most, ...(after !== undefined && { after: BigInt(after) }), ...(rate !== undefined && { rate }) });
        if (!dryRun) onEnqueued();
        return { body: { dry_run: dryRun, matching: all, results: results.map(resultOf), next_after: results.length < most ? null : String(results.at(-1)?.id) } };
      },
    }),
    route({
      method: 'POST',
      path: '/dead-letters/discard',
      access: 'write',
      isLimited: true,
      summary: 'Give dead letters up: they are kept, and not sent again',
      description: 'A dry run, which only counts, unless `dry_run` is false. Written down with who and why.',
      body: many,
      answer: discarded,
      problems: CHANGES,
      async handle({ body }) {
        const { limit: most, dry_run: dryRun } = body;
        const filter = filterOf(body);
        const all = await matching(filter);
        const letters = dryRun ? [] : await selectDeadLetters(deps.postgres.prisma, { ...filter, states: ['open'] }, { order: 'oldest', limit: most });
        const gone = letters.length === 0 ? [] : [...(await discardDeadLetters(deps.postgres, letters.map((letter) => letter.id), byOf(body)))];
        return { body: { dry_run: dryRun, matching: all, discarded: gone.map(String) } };
      },
    }),
  ];
}

/** Whoever changes many says which: "all" is not taken for granted. */
function filterOf({ ids, cause, user, event, topic, since, until }: Pick<z.output<typeof many>, keyof typeof which>): LetterFilter {
  const filter: LetterFilter = {
    ...(ids !== undefined && { ids: ids.map(BigInt) }),
    ...(cause !== undefined && { reasons: cause }),
    ...(user !== undefined && { userId: user }),
    ...(event !== undefined && { eventId: event }),
    ...(topic !== undefined && { topic }),
    ...(since !== undefined && { since: Date.parse(since) }),
    ...(until !== undefined && { until: Date.parse(until) }),
  };
  if (Object.keys(filter).length === 0) throw invalid('body', 'it must be said which dead letters: ids, cause, user, event, topic, since or until');
  return filter;
}

const invalid = (at: string, problem: string): Problem => new Problem('invalid_request', `${at}: ${problem}`, { errors: [{ at, problem }] });

async function letterNamed({ postgres }: ApiDeps['redrive'], wanted: bigint, state: 'open' | undefined): Promise<DeadLetter> {
  const [letter] = await selectDeadLetters(postgres.prisma, { ids: [wanted], ...(state !== undefined && { states: [state] }) }, { order: 'newest', limit: 1 });
  if (letter !== undefined) return letter;
  if (state !== undefined) throw new Problem('conflict', `there is no open dead letter ${wanted}`, { remedy: 'GET /dead-letters/{letter} tells what became of it' });
  throw new Problem('unknown_dead_letter', `there is no dead letter ${wanted}`, { remedy: 'GET /dead-letters lists them; old ones are forgotten a day after the deduplication horizon' });
}

function letterOf({ id: number, reason, detail: why, userId, eventId, consumerGroup, createdAt, state, source }: DeadLetter): z.input<typeof deadLetter> {
  return { id: String(number), reason, means: DEAD_LETTER_REASONS[reason], detail: why, user_id: userId, event_id: eventId, topic: source.topic, partition: source.partition, offset: source.offset, consumer_group: consumerGroup, at: createdAt.toISOString(), state };
}

const resultOf = ({ id: number, outcome, detail: why, eventId, userId, was, deadLetter: again }: RedriveResult): z.input<typeof result> => ({ id: String(number), outcome, detail: why, was, user_id: userId, event_id: eventId, dead_letter: again === null ? null : String(again) });

