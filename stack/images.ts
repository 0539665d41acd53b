import { VERSIONS } from './model.ts';

/** Images of the services. docker-compose.yml must name the same ones (test/unit/compose.test.ts). */
export const IMAGES = {
  kafka: `apache/kafka:${VERSIONS.kafka}`,
  registry: `apicurio/apicurio-registry:${VERSIONS.registry}`,
  postgres: 'postgres:18',
  mariadb: 'mariadb:11.8',
  redis: 'redis:8.2',
} as const;

/** Giving the Kafka image any variable replaces all its defaults, so the whole configuration is here. `advertised` is what clients outside are told. */
export function kafkaEnvironment(options: { advertised: string }): Record<string, string> {
  return {
    CLUSTER_ID: 'QnJ4LVN5bmMtU3RhY2stMQ',
    KAFKA_NODE_ID: '1',
    KAFKA_PROCESS_ROLES: 'broker,controller',
    KAFKA_CONTROLLER_QUORUM_VOTERS: '1@localhost:29093',
    KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
    KAFKA_LISTENERS: 'INTERNAL://:29092,HOST://:9092,CONTROLLER://localhost:29093',
    KAFKA_ADVERTISED_LISTENERS: `INTERNAL://kafka:29092,HOST://${options.advertised}`,
    KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,HOST:PLAINTEXT',
    KAFKA_INTER_BROKER_LISTENER_NAME: 'INTERNAL',
    KAFKA_LOG_DIRS: '/var/lib/kafka/data',
    KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
    KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS: '4',
    KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
    KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '1',
    KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR: '1',
    KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR: '1',
    KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
    KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS: '1000',
    KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
    KAFKA_HEAP_OPTS: '-Xms512m -Xmx768m',
  };
}
