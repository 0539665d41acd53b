import { BrxError } from '../../errors.ts';
import type { Clock } from '../../platform/clock.ts';
import { kafkaUnavailable, withAdmin, type Admin, type Kafka } from '../../platform/kafka/index.ts';
import { readMembers, readOffsets, type Member } from '../lag/index.ts';
import { requireTopic } from '../verify/index.ts';
import type { Standing } from './plan.ts';

/** A consumer group of ours and the one topic it reads. */
export interface Group {
  /** As operators call it. */
  readonly role: 'ingest' | 'saga';
  readonly id: string;
  readonly topic: string;
}

export interface GroupState {
  /** Kafka's word: Empty and Dead have no members. */
  readonly state: string;
  readonly members: readonly Member[];
  readonly standings: readonly Standing[];
}

export interface GroupDeps {
  readonly kafka: Kafka;
  readonly clock: Clock;
  readonly group: Group;
}

/** Who is in the group, and where it stands. Throws BRX_REFUSED if there is no such topic, BRX_KAFKA_UNAVAILABLE. */
export function readGroup({ kafka, group }: Pick<GroupDeps, 'kafka' | 'group'>): Promise<GroupState> {
  return withAdmin(kafka, async (admin) => {
    await requireTopic(admin, group.topic);
    return readState(admin, group);
  });
}

/** The first offset of each partition whose record was stamped at or after `at`; the end where there is none. */
export function offsetsAt({ kafka, group }: Pick<GroupDeps, 'kafka' | 'group'>, at: number): Promise<Map<number, bigint>> {
  return withAdmin(kafka, async (admin) => new Map((await admin.fetchTopicOffsetsByTimestamp(group.topic, at)).map(({ partition, offset }) => [partition, BigInt(offset)])));
}

const TRIES = 3;
const PAUSE_MS = 500;

/**
 * Sets offsets of a group without members, and reads them back: kafkajs does it by joining the group for a moment, so an instance that is
 * started at this very moment can come between. Throws BRX_REFUSED when members are there, or when the offsets are not what was set.
 */
export async function setOffsets({ kafka, clock, group }: GroupDeps, offsets: ReadonlyMap<number, bigint>): Promise<void> {
  const partitions = [...offsets].map(([partition, offset]) => ({ partition, offset: offset.toString() }));
  await withAdmin(kafka, async (admin) => {
    for (let attempt = 1; ; attempt += 1) {
      refuseMembers(group, (await readState(admin, group)).members);
      await admin.setOffsets({ groupId: group.id, topic: group.topic, partitions }).catch((error: unknown) => {
        throw kafkaUnavailable(error, `set the offsets of ${group.id}`);
      });
      const { standings } = await readState(admin, group);
      const wrong = standings.filter(({ partition, committed }) => offsets.has(partition) && committed !== offsets.get(partition));
      if (wrong.length === 0) return;
      if (attempt === TRIES) {
        throw new BrxError('BRX_REFUSED', `group ${group.id} does not stand where it was set to: ${wrong.map(({ partition, committed }) => `partition ${partition} at ${committed ?? 'nothing'} instead of ${offsets.get(partition)}`).join(', ')}`, {
          remedy: 'an instance was started meanwhile: stop all of them, then try again',
        });
      }
      await clock.sleep(attempt * PAUSE_MS);
    }
  });
}

/** Throws BRX_REFUSED with who is in the group, and what to do. */
export function refuseMembers(group: Group, members: readonly Member[]): void {
  if (members.length === 0) return;
  throw new BrxError('BRX_REFUSED', membersWords(group, members), { remedy: STOP_THEM });
}

export const STOP_THEM = 'stop every instance with the role (SIGTERM; in Kubernetes: kubectl scale deployment --all --replicas=0), wait until `brx-sync lag` says Empty, and try again';

/** Kafka moves offsets of a group only while nobody reads. */
export const membersWords = (group: Group, members: readonly Member[]): string =>
  `group ${group.id} has ${members.length} member${members.length === 1 ? '' : 's'}: ${members.map(({ clientId, host, partitions }) => `${clientId} on ${host} (partitions ${partitions.join(', ') || 'none'})`).join('; ')}`;

async function readState(admin: Admin, group: Group): Promise<GroupState> {
  const { state, members } = await readMembers(admin, group.topic, group.id);
  const offsets = await readOffsets(admin, group.topic, group.id);
  return {
    state,
    members,
    standings: offsets
      .map(({ partition, committed, earliest, end }) => ({ partition, committed: BigInt(committed) < 0n ? null : BigInt(committed), earliest: BigInt(earliest), end: BigInt(end) }))
      .sort((a, b) => a.partition - b.partition),
  };
}
