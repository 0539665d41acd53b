import type { Config } from '../../config.ts';
import { ALL_TOPICS, topicName } from '../../contract/index.ts';
import { describeCluster, openTopicAdmin, type Cluster, type Kafka } from '../../platform/kafka/index.ts';
import { inspectTopics, type TopicFinding } from '../topics/index.ts';
import { orOk, sayOf, type Finding } from './finding.ts';

const say = sayOf('kafka');
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

export async function examineKafka(kafka: Kafka, config: Config): Promise<Finding[]> {
  const names = ALL_TOPICS.map((topic) => topicName(config.kafka.topicPrefix, topic));
  const cluster = await describeCluster(kafka, names);
  const admin = await openTopicAdmin(kafka);
  try {
    return [say.ok('brokers', cluster.brokers.join(', ')), ...judgeTopics(await inspectTopics(admin, config.kafka.topicPrefix)), ...judgeCluster(cluster, config)];
  } finally {
    await admin.close();
  }
}

export function judgeTopics(topics: readonly TopicFinding[]): Finding[] {
  const missing = topics.filter(({ verdict }) => verdict === 'missing');
  const findings: Finding[] = [];
  if (missing.length > 0) findings.push(say.failure('topics', `${missing.length} of ${topics.length} topics are missing: ${missing.map(({ name }) => name).join(', ')}`, '`brx-sync topics apply` creates them; if they should be there already, see BRX_TOPIC_PREFIX'));
  for (const { name, verdict, remarks } of topics) for (const remark of remarks) findings.push((verdict === 'refuse' ? say.failure : say.warning)('topics', `${name} ${remark}`, '`brx-sync topics list` shows declared against found'));
  return orOk(findings, say.ok('topics', `all ${topics.length} are there as declared`));
}

/** What the brokers would do with data and groups. Names of settings are Kafka's own. */
export function judgeCluster({ brokers, settings, topics }: Cluster, { ingest: { horizonMs, sessionTimeoutMs } }: Pick<Config, 'ingest'>): Finding[] {
  const findings: Finding[] = [];
  const single = brokers.length === 1;
  for (const [name, { replicas, inSync, leaderless, settings: own }] of topics) {
    if (leaderless > 0) findings.push(say.failure('partitions', `${leaderless} partitions of ${name} have no leader: nothing can be read from or written to them`, 'bring the brokers that held them back'));
    else if (inSync < replicas) findings.push(say.warning('partitions', `${name} has partitions with ${inSync} of ${replicas} replicas in step`, 'a broker is down or slow: kafka-topics --describe --under-replicated-partitions'));
    if (!single && replicas < 2) findings.push(say.failure('replicas', `${name} is kept on one broker only, of ${brokers.length}: losing it loses events`, 'kafka-reassign-partitions to three replicas, and default.replication.factor=3 for topics to come'));
    const least = Number(own.get('min.insync.replicas') ?? 1);
    if (replicas >= 3 && least < 2) findings.push(say.failure('replicas', `${name} has min.insync.replicas=${least} of ${replicas} replicas: what one broker alone has acknowledged is gone with it`, `kafka-configs --alter --entity-type topics --entity-name ${name} --add-config min.insync.replicas=2`));
    if (replicas > 1 && least >= replicas) findings.push(say.warning('replicas', `${name} has min.insync.replicas=${least} of ${replicas} replicas: one broker away stops all writing`, `kafka-configs --alter --entity-type topics --entity-name ${name} --add-config min.insync.replicas=${replicas - 1}`));
    if (replicas > 1 && own.get('unclean.leader.election.enable') === 'true') findings.push(say.failure('replicas', `${name} has unclean.leader.election.enable=true: a replica that is behind may lead, and acknowledged events are gone`, `kafka-configs --alter --entity-type topics --entity-name ${name} --add-config unclean.leader.election.enable=false`));
    const retentionMs = Number(own.get('retention.ms') ?? Number.NaN);
    if (retentionMs < 0 || retentionMs >= horizonMs)
      findings.push(
        say.failure('horizon', `${name} keeps ${retentionMs < 0 ? 'events for ever' : `${Math.round(retentionMs / DAY_MS)} days`}, deduplication knows ${Math.round(horizonMs / DAY_MS)}: a replay would meet events that nobody remembers`, `raise BRX_INGEST_HORIZON_DAYS above it, or kafka-configs --alter --entity-type topics --entity-name ${name} --add-config retention.ms=<below>`),
      );
  }
  if (single) findings.push(say.warning('replicas', 'there is one broker: losing it loses every event it holds', 'for production: three brokers, default.replication.factor=3, min.insync.replicas=2'));
  if (settings === undefined) return [...findings, say.skipped('broker settings', 'the brokers do not let us read their settings (DescribeConfigs on the cluster)')];
  const number = (name: string): number => Number(settings.get(name) ?? Number.NaN);
  if (settings.get('auto.create.topics.enable') === 'true') findings.push(say.warning('broker settings', 'auto.create.topics.enable=true: a producer’s typing error makes a topic nobody reads', 'set auto.create.topics.enable=false on the brokers'));
  const longest = Math.max(...[...topics.values()].map(({ settings: own }) => Number(own.get('retention.ms') ?? 0)), 0);
  if (number('offsets.retention.minutes') * MINUTE_MS < longest)
    findings.push(say.warning('broker settings', `offsets.retention.minutes=${number('offsets.retention.minutes')}: the position of a group that is away for so long is forgotten, and it reads everything again (which changes nothing, and takes time)`, `raise offsets.retention.minutes above ${Math.ceil(longest / MINUTE_MS)}`));
  const [least, most] = [number('group.min.session.timeout.ms'), number('group.max.session.timeout.ms')];
  if (sessionTimeoutMs < least || sessionTimeoutMs > most) findings.push(say.failure('broker settings', `BRX_INGEST_SESSION_TIMEOUT_MS=${sessionTimeoutMs}, the brokers take ${least} to ${most}: they let no member in`, 'bring BRX_INGEST_SESSION_TIMEOUT_MS into that range'));
  return orOk(findings, say.ok('broker settings', 'replicas, retention and limits of groups fit'));
}
