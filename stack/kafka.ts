import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { initialisedData } from './data.ts';
import { PORT_VARIABLES } from './model.ts';
import { run } from './run.ts';
import type { NativeService } from './instance.ts';

export interface KafkaPlace {
  java: string;
  /** Folder of jars. */
  libs: string;
  port: number;
  controllerPort: number;
  /** Small, and soon back after a kill. */
  forOneTest?: boolean;
}

/** Kafka in KRaft mode, one node that is broker and controller. */
export function kafkaService({ java, libs, port, controllerPort, forOneTest = false }: KafkaPlace): NativeService {
  return {
    name: 'kafka',
    title: 'Kafka',
    address: `127.0.0.1:${port}`,
    ports: [
      { port, variable: PORT_VARIABLES.kafka, title: 'Kafka' },
      { port: controllerPort, variable: PORT_VARIABLES.kafkaController, title: 'Kafka (controller)' },
    ],
    owner: undefined,
    stopSignal: 'SIGTERM',
    stopGraceMs: 30_000,
    prepare: async (home) => {
      mkdirSync(home, { recursive: true });
      const log4j = join(home, 'log4j2.properties');
      writeFileSync(log4j, LOG4J);
      const environment = { LANG: 'C.UTF-8' };
      const jvm = [`-Dlog4j2.configurationFile=${log4j}`, '-cp', `${libs}/*`];
      const data = await initialisedData(home, undefined, async (folder) => {
        const draft = `${folder}.properties`;
        writeFileSync(draft, serverProperties({ port, controllerPort, forOneTest }, folder));
        await run(java, ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', ...jvm, 'kafka.tools.StorageTool', 'format', '--standalone', '-t', CLUSTER_ID, '-c', draft], { cwd: home, environment });
        rmSync(draft);
      });
      const properties = join(home, 'server.properties');
      writeFileSync(properties, serverProperties({ port, controllerPort, forOneTest }, data));
      // For one test it is the start that counts, which is a third cheaper so; for all, what it does afterwards.
      const machine = forOneTest ? ['-Xms256m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'] : ['-Xms512m', '-Xmx768m', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20', '-XX:+ExplicitGCInvokesConcurrent'];
      return { program: java, args: [...machine, ...jvm, 'kafka.Kafka', properties], cwd: home, environment };
    },
    probe: () => probeKafka(`127.0.0.1:${port}`),
  };
}

/** Any UUID in base64 will do; one node never meets another. */
const CLUSTER_ID = 'QnJ4LVN5bmMtU3RhY2stMQ';

/** Resolves when a broker answers a metadata request. */
export async function probeKafka(brokers: string): Promise<void> {
  const kafka = new Kafka({ clientId: 'brx-stack', brokers: brokers.split(','), logLevel: logLevel.NOTHING, connectionTimeout: 2_000, requestTimeout: 5_000, retry: { retries: 0 } });
  const admin = kafka.admin();
  try {
    await admin.connect();
    const { brokers: answered } = await admin.describeCluster();
    if (answered.length === 0) throw new Error('no broker has registered yet');
  } finally {
    await admin.disconnect();
  }
}

function serverProperties({ port, controllerPort, forOneTest }: Pick<KafkaPlace, 'port' | 'controllerPort' | 'forOneTest'>, data: string): string {
  return `# Written by the local stack at each start.
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:${controllerPort}
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
num.network.threads=2
num.io.threads=2
log.dirs=${data}
# A single broker cannot hold three copies.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Topics are code (brx-sync topics apply), never a typing error.
auto.create.topics.enable=false
# The default of 3000 adds three seconds to every first join.
group.initial.rebalance.delay.ms=0
# Lets tests see a dead member after one second instead of six.
group.min.session.timeout.ms=1000
# Deleted topics give their disk back at once.
log.segment.delete.delay.ms=1000
# A broker that was killed may come back once its controller has given it up, after nine seconds by default.
broker.session.timeout.ms=${forOneTest ? 2_000 : 9_000}
broker.heartbeat.interval.ms=${forOneTest ? 500 : 2_000}
`;
}

const LOG4J = `status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{HH:mm:ss.SSS} %-5p %c{1}: %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.server.name=kafka.server
logger.server.level=info
`;
