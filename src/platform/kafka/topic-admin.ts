import kafkajs, { type Admin, type Kafka } from 'kafkajs';
import { systemClock } from '../clock.ts';
import { kafkaUnavailable } from './kafka.ts';

/** A topic as the cluster has it. */
export interface TopicState {
  partitions: number;
  replicas: number;
  /** -1: for ever. */
  retentionMs: number;
  /** `delete`, `compact` or `compact,delete`. */
  cleanupPolicy: string;
}

export interface TopicSpec {
  name: string;
  partitions: number;
  retentionMs: number;
  cleanupPolicy: string;
}

/** Topics of the cluster. Every method throws BRX_KAFKA_UNAVAILABLE. */
export interface TopicAdmin {
  /** Those of `names` that exist. */
  describe(names: readonly string[]): Promise<Map<string, TopicState>>;
  /** False when it exists already. With `validateOnly` the broker only says whether it would. */
  create(spec: TopicSpec, options?: { validateOnly?: boolean }): Promise<boolean>;
  close(): Promise<void>;
}

const RETENTION = 'retention.ms';
const CLEANUP_POLICY = 'cleanup.policy';
/** As many as the cluster's default.replication.factor says. */
const DEFAULT_REPLICAS = -1;

export async function openTopicAdmin(kafka: Kafka): Promise<TopicAdmin> {
  const admin = kafka.admin();
  await attempt('connect', () => admin.connect());
  return {
    describe: (names) => attempt('look at topics', () => describe(admin, names)),
    create: ({ name, partitions, retentionMs, cleanupPolicy }, { validateOnly = false } = {}) =>
      attempt(`create ${name}`, async () => {
        const created = await admin.createTopics({
          validateOnly,
          // kafkajs's own wait gives up at once when the broker it asks has not heard of the topic yet, as under load it has not.
          waitForLeaders: false,
          topics: [
            {
              topic: name,
              numPartitions: partitions,
              replicationFactor: DEFAULT_REPLICAS,
              configEntries: [
                { name: RETENTION, value: String(retentionMs) },
                { name: CLEANUP_POLICY, value: cleanupPolicy },
              ],
            },
          ],
        });
        if (created && !validateOnly) await leadersLead(admin, [name]);
        return created;
      }),
    close: () => admin.disconnect(),
  };
}

const LEADERS_MS = 30_000;
const POLL_MS = 50;

/**
 * Resolves once every partition of topics that were just created has a leader that leads: metadata names it a moment before that broker has
 * taken the partition up, and whoever asks it for offsets until then is told that it is not the leader, which kafkajs does not try again.
 * Rejects with the last failure if that takes too long.
 */
export async function leadersLead(admin: Admin, names: readonly string[]): Promise<void> {
  const deadline = systemClock.monotonic() + LEADERS_MS;
  for (;;) {
    let problem: unknown = new Error(`no leader for some partitions of ${names.join(', ')} within ${LEADERS_MS / 1_000} s`);
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: [...names] });
      if (topics.length === names.length && topics.every(({ partitions }) => partitions.length > 0 && partitions.every(({ leader }) => leader >= 0))) {
        for (const name of names) await admin.fetchTopicOffsets(name);
        return;
      }
    } catch (error) {
      problem = error;
    }
    if (systemClock.monotonic() >= deadline) throw problem;
    await systemClock.sleep(POLL_MS);
  }
}

async function describe(admin: Admin, names: readonly string[]): Promise<Map<string, TopicState>> {
  const present = new Set(await admin.listTopics());
  const topics = names.filter((name) => present.has(name));
  if (topics.length === 0) return new Map();
  const [{ topics: metadata }, { resources }] = await Promise.all([
    admin.fetchTopicMetadata({ topics }),
    admin.describeConfigs({ includeSynonyms: false, resources: topics.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name, configNames: [RETENTION, CLEANUP_POLICY] })) }),
  ]);
  return new Map(
    metadata.map(({ name, partitions }) => {
      const entries = resources.find((resource) => resource.resourceName === name)?.configEntries ?? [];
      const value = (key: string): string => entries.find((entry) => entry.configName === key)?.configValue ?? '';
      return [name, { partitions: partitions.length, replicas: partitions[0]?.replicas.length ?? 0, retentionMs: Number(value(RETENTION)), cleanupPolicy: value(CLEANUP_POLICY) }];
    }),
  );
}

async function attempt<T>(doing: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw kafkaUnavailable(withDetails(error), doing);
  }
}

/** kafkajs hides what the broker said about each topic in `errors`. */
function withDetails(error: unknown): unknown {
  if (!(error instanceof Error) || !('errors' in error) || !Array.isArray(error.errors)) return error;
  return new Error(error.errors.map((inner) => (inner instanceof Error ? inner.message : String(inner))).join('; '), { cause: error });
}
