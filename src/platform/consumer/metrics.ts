import type { Metrics } from '../metrics.ts';
import type { ConsumerReading } from './consumer.ts';

/** The consumers of this instance as they stand, read at each scrape; partitions it no longer owns disappear. */
export function watchConsumers(metrics: Metrics, consumers: readonly { reading(): ConsumerReading }[]): void {
  metrics.beforeScrape(() => {
    for (const gauge of [metrics.recordsLag, metrics.lagSeconds, metrics.consumerStatus]) gauge.reset();
    for (const consumer of consumers) {
      const { group, partitions, topicPartitions, held, stillSeconds } = consumer.reading();
      for (const { topic, partition, records, seconds, status } of partitions) {
        metrics.recordsLag.set({ topic, partition, group }, records);
        metrics.lagSeconds.set({ topic, partition, group }, seconds);
        metrics.consumerStatus.set({ topic, partition, group, status }, 1);
      }
      for (const [topic, count] of topicPartitions) metrics.topicPartitions.set({ topic, group }, count);
      metrics.consumerHeld.set({ group }, held ? 1 : 0);
      metrics.loopStillSeconds.set({ group }, stillSeconds);
    }
  });
}
