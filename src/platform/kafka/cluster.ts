import kafkajs, { type Admin, type Kafka } from 'kafkajs';
import { withAdmin } from './kafka.ts';

/** Settings by name, as the cluster has them, defaults included. */
export type Settings = ReadonlyMap<string, string>;

export interface Cluster {
  /** host:port. */
  readonly brokers: readonly string[];
  /** Of one broker: those that BRX Sync looks at are the same on all, or should be. Undefined where the broker does not let us read them. */
  readonly settings: Settings | undefined;
  /** Settings and smallest number of replicas of each topic that exists; empty settings where the broker does not let us read them. */
  readonly topics: ReadonlyMap<string, { readonly replicas: number; readonly inSync: number; readonly leaderless: number; readonly settings: Settings }>;
}

/** The cluster and these topics, in few requests. Throws BRX_KAFKA_UNAVAILABLE. */
export function describeCluster(kafka: Kafka, names: readonly string[]): Promise<Cluster> {
  return withAdmin(kafka, async (admin) => {
    const { brokers, controller } = await admin.describeCluster();
    const present = new Set(await admin.listTopics());
    const topics = names.filter((name) => present.has(name));
    const metadata = topics.length === 0 ? [] : (await admin.fetchTopicMetadata({ topics })).topics;
    const described = new Map<string, { replicas: number; inSync: number; leaderless: number; settings: Settings }>();
    for (const { name, partitions } of metadata) {
      described.set(name, {
        replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
        inSync: Math.min(...partitions.map(({ isr }) => isr.length)),
        leaderless: partitions.filter(({ leader }) => leader < 0).length,
        settings: (await settingsOf(admin, kafkajs.ConfigResourceTypes.TOPIC, name)) ?? new Map(),
      });
    }
    const broker = controller ?? brokers[0]?.nodeId;
    return { brokers: brokers.map(({ host, port }) => `${host}:${port}`), settings: broker === undefined ? undefined : await settingsOf(admin, kafkajs.ConfigResourceTypes.BROKER, String(broker)), topics: described };
  }, 'look at the cluster');
}

/** Reading settings needs a right of its own (DescribeConfigs), without which all else works: then undefined. */
async function settingsOf(admin: Admin, type: number, name: string): Promise<Settings | undefined> {
  const answer = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type, name }] }).catch(() => undefined);
  const entries = answer?.resources[0]?.configEntries;
  return entries === undefined ? undefined : new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
}
