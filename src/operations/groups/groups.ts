import type { Config } from '../../config.ts';
import { TOPICS, topicName, type Topic } from '../../contract/index.ts';

/** A topic and the consumer group that reads it. */
export interface ConsumedTopic {
  /** What reads it, as operators call it. */
  role: 'ingest' | 'snapshots' | 'saga';
  topic: string;
  group: string;
  /** As declared. */
  partitions: number;
}

/** Everything BRX Sync consumes: the one list of its groups. A role that reads another topic adds its line here. */
export function consumedTopics(config: Pick<Config, 'kafka' | 'ingest' | 'bulkSync' | 'saga'>): ConsumedTopic[] {
  const read = (role: ConsumedTopic['role'], topic: Topic, { groupId }: { readonly groupId: string }): ConsumedTopic => ({ role, topic: topicName(config.kafka.topicPrefix, topic), group: groupId, partitions: topic.partitions });
  return [
    read('ingest', TOPICS.marketplaceEvents, config.ingest), //
    read('snapshots', TOPICS.inventorySnapshots, config.bulkSync),
    read('saga', TOPICS.sagaEvents, config.saga),
  ];
}
