import type { KafkaConfig, RegistryConfig } from '../../../src/config.ts';
import type { StackUrls } from '../../../stack/index.ts';

/** The Kafka and registry sections of a configuration for this run's stack. */
export function kafkaConfig(urls: StackUrls, topicPrefix = ''): KafkaConfig {
  return { brokers: urls.kafkaBrokers.split(','), clientId: 'brx-sync-test', ssl: false, sasl: undefined, topicPrefix };
}

export function registryConfig(urls: StackUrls): RegistryConfig {
  return { url: urls.registryUrl, username: undefined, password: undefined };
}
