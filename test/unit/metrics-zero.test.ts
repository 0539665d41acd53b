import { expect, test } from 'vitest';
import { snapshotMetrics } from '../../src/bulk-sync/index.ts';
import { ingestMetrics } from '../../src/ingest/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { createMetrics } from '../../src/platform/metrics.ts';
import { sagaMetrics } from '../../src/purchase/index.ts';
import { DEAD_LETTER_REASONS } from '../../src/records/index.ts';

/** Protects: the first dead letter, and the first crashes, are seen by alerts. Of a counter that appears with its first event, increase() and rate() see nothing. */
const parts = { clock: systemClock, logger: silentLogger };

test.each([['ingest', ingestMetrics], ['saga', sagaMetrics], ['snapshots', snapshotMetrics]])('%s: crashes are there from the start, and with its partitions every reason of a dead letter, at 0', async (_role, observe) => {
  const metrics = createMetrics({ process: false });
  const observer = observe(metrics, parts);
  for (const restart of ['true', 'false']) expect(await metrics.render()).toContain(`brx_consumer_crashes_total{restart="${restart}"} 0`);
  observer.assigned([{ topic: 'a', partition: 0 }, { topic: 'a', partition: 1 }]);
  const lines = (await metrics.render()).split('\n');
  for (const reason of Object.keys(DEAD_LETTER_REASONS)) expect(lines).toContain(`brx_dlq_records_total{topic="a",reason="${reason}"} 0`);
});

test('ingest: events of every kind and outcome are there from the start, at 0; being assigned again resets nothing', async () => {
  const metrics = createMetrics({ process: false });
  const observer = ingestMetrics(metrics, parts);
  const lines = (await metrics.render()).split('\n');
  expect(lines).toContain('brx_events_total{event_type="unusable",outcome="dead"} 0');
  expect(lines).toContain('brx_events_total{event_type="InventoryChanged",outcome="ok"} 0');
  metrics.dlqRecords.inc({ topic: 'a', reason: 'invalid' }, 3);
  observer.assigned([{ topic: 'a', partition: 0 }]);
  expect(await metrics.render()).toContain('brx_dlq_records_total{topic="a",reason="invalid"} 3');
});
