import { RELAY_SHARDS, enqueue, shardOf, type OutboxMessage } from '../outbox/index.ts';
import { inTransaction, lockUsers, recordOperatorActions, type Postgres } from '../platform/postgres/index.ts';
import { storable } from './dead-letters.sql.ts';
import { markDiscarded, markRedriven, type DeadLetter } from './letters.sql.ts';
import { REDRIVE_HEADER } from './redriven.ts';

/** Who decides, and why. */
export interface By {
  readonly who: string;
  readonly reason: string;
}

/** A dead letter as it is to be sent again. */
export interface Redriven {
  readonly letter: DeadLetter;
  /** Whose it is and which event, if that is known by now. */
  readonly userId: string | null;
  readonly eventId: string | null;
  /** What is sent instead of its key and value. */
  readonly edited: { readonly key: Buffer; readonly value: Buffer } | null;
}

/** What `operator_actions` is told it was done to. */
export const letterTarget = (id: bigint): string => `dead_letter/${id}`;

/**
 * Sends dead letters to their topic again, through the outbox, in the one transaction that marks them as sent: a crash before the commit has sent
 * nothing, one after it has sent all. Answers which went out; those that were no longer open did not.
 *
 * Records of one user go out in the order of `redriven`: in ids drawn under the user's lane.
 */
export async function redriveDeadLetters(postgres: Postgres, redriven: readonly Redriven[], by: By): Promise<Set<bigint>> {
  const why = { who: by.who, reason: storable(by.reason) };
  return inTransaction(postgres, async (tx) => {
    await lockUsers(tx, new Set(redriven.flatMap(({ userId }) => (userId === null ? [] : [userId]))));
    const sent = await markRedriven(tx, redriven.map(({ letter: { id }, eventId, edited }) => ({ id, eventId, edited })), why);
    const going = redriven.filter(({ letter }) => sent.has(letter.id));
    await enqueue(tx, going.map(message));
    await recordOperatorActions(tx, going.map(({ letter, edited, eventId }) => ({ ...why, action: edited === null ? 'dlq.redrive' : 'dlq.redrive-edited', target: letterTarget(letter.id), detail: { eventId, reason: letter.reason, topic: letter.source.topic } })));
    return sent;
  });
}

/** Gives dead letters up. Answers which were still open. */
export async function discardDeadLetters(postgres: Postgres, ids: readonly bigint[], by: By): Promise<Set<bigint>> {
  const why = { who: by.who, reason: storable(by.reason) };
  return inTransaction(postgres, async (tx) => {
    const discarded = await markDiscarded(tx, ids, why);
    await recordOperatorActions(tx, ids.filter((id) => discarded.has(id)).map((id) => ({ ...why, action: 'dlq.discard', target: letterTarget(id), detail: {} })));
    return discarded;
  });
}

/** To the partition it came from, unless it goes out under another key: then where that belongs. */
function message({ letter: { id, source }, userId, eventId, edited }: Redriven): OutboxMessage {
  const key = edited?.key ?? source.key;
  const same = edited === null || (source.key !== null && edited.key.equals(source.key));
  return {
    topic: source.topic,
    shard: userId === null ? source.partition % RELAY_SHARDS : shardOf(userId),
    userId,
    eventId,
    key,
    value: edited?.value ?? source.value,
    headers: { ...source.headers, [REDRIVE_HEADER]: id.toString() },
    ...(same && { partition: source.partition }),
  };
}
