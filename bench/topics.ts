import type { Admin } from 'kafkajs';
import { leadersLead } from '../src/platform/kafka/index.ts';

/** Creates topics and waits until each partition is led; kafkajs's own wait gives up when the broker has not heard of a new topic yet. */
export async function createTopics(admin: Admin, topics: readonly string[], numPartitions: number, configEntries: { name: string; value: string }[] = []): Promise<void> {
  await admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions, configEntries })), waitForLeaders: false });
  await leadersLead(admin, topics);
}
