import type { Topic } from '../../contract/index.ts';
import type { TopicState } from '../../platform/kafka/index.ts';

/** What a topic needs. `refuse`: changing or using it as it is would lose order or data. `differs`: safe, but not as declared. */
export interface TopicFinding {
  /** With the environment's prefix. */
  name: string;
  declared: Topic;
  found: TopicState | null;
  verdict: 'missing' | 'as declared' | 'differs' | 'refuse';
  /** In words, each with what to do; empty when there is nothing to say. */
  remarks: string[];
}

const DAY_MS = 86_400_000;

export function examine(name: string, declared: Topic, found: TopicState | undefined): TopicFinding {
  if (found === undefined) return { name, declared, found: null, verdict: 'missing', remarks: [] };
  const refusals = [...partitionRefusal(name, declared, found), ...policyRefusal(name, declared, found)];
  if (refusals.length > 0) return { name, declared, found, verdict: 'refuse', remarks: refusals };
  const differences = retentionDifference(name, declared, found);
  return { name, declared, found, verdict: differences.length > 0 ? 'differs' : 'as declared', remarks: differences };
}

function partitionRefusal(name: string, { partitions }: Topic, found: TopicState): string[] {
  if (found.partitions === partitions) return [];
  const why =
    found.partitions < partitions
      ? `growing it would send users to other partitions while older events of theirs wait unread in the old ones: their order would be lost. ` +
        `To grow it: stop all producers, wait until \`brx-sync lag\` says 0, run kafka-topics --alter --topic ${name} --partitions ${partitions}, start the producers again`
      : `Kafka cannot take partitions away; deleting and creating it again would lose every event that is not read yet. ` +
        `To shrink it: stop all producers, wait until \`brx-sync lag\` says 0, delete it, and apply again. Or keep ${found.partitions}, and change the declaration in src/contract/topics.ts`;
  return [`has ${found.partitions} partitions, ${partitions} are declared: ${why}`];
}

function policyRefusal(name: string, { cleanupPolicy }: Topic, found: TopicState): string[] {
  if (found.cleanupPolicy === cleanupPolicy) return [];
  const why = found.cleanupPolicy.includes('compact')
    ? 'compaction keeps only the newest event of each user and throws the others away, read or not'
    : 'nobody has looked at what it would do to unread events';
  return [
    `has cleanup policy ${found.cleanupPolicy}, ${cleanupPolicy} is declared: ${why}. ` +
      `If the topic is meant for BRX Sync, run kafka-configs --alter --entity-type topics --entity-name ${name} --add-config cleanup.policy=${cleanupPolicy}; if not, set BRX_TOPIC_PREFIX`,
  ];
}

/** Not changed from here: the client's only call for it replaces all settings of a topic by the ones named. */
function retentionDifference(name: string, { retentionMs }: Topic, found: TopicState): string[] {
  if (found.retentionMs === retentionMs) return [];
  return [
    `keeps ${days(found.retentionMs)}, ${days(retentionMs)} are declared: to change it, run ` +
      `kafka-configs --bootstrap-server <broker> --alter --entity-type topics --entity-name ${name} --add-config retention.ms=${retentionMs}`,
  ];
}

/** Retention as people say it. */
export function days(ms: number): string {
  if (ms < 0) return 'for ever';
  const value = ms / DAY_MS;
  return `${Number(value.toFixed(2))} day${value === 1 ? '' : 's'}`;
}
