import { describe, expect, test } from 'vitest';
import { Histogram, Registry } from 'prom-client';
import { silentLogger } from '../../src/platform/log.ts';
import { createMetrics } from '../../src/platform/metrics.ts';
import { fakeClock } from '../support/fake-clock.ts';

/** What dashboards, alerts and scrapers rely on: names, labels, and numbers that are read when somebody looks. */
const sample = async (metrics: ReturnType<typeof createMetrics>, start: string): Promise<string | undefined> => (await metrics.render()).split('\n').find((line) => line.startsWith(start));

describe('metrics', () => {
  test('every name of the operations reference that exists so far is there, and each has help', async () => {
    const text = await createMetrics().render();
    for (const name of [
      'brx_consumer_records_lag', 'brx_consumer_lag_seconds', 'brx_consumer_rebalances_total', 'brx_consumer_crashes_total', 'brx_consumer_heartbeat_age_seconds',
      'brx_last_event_processed_timestamp_seconds', 'brx_events_total', 'brx_event_end_to_end_seconds', 'brx_chunk_events', 'brx_chunk_seconds', 'brx_transaction_retries_total',
      'brx_pool_connections', 'brx_pool_max_connections', 'brx_pool_pending_requests', 'brx_pool_wait_seconds', 'brx_dlq_records_total', 'brx_dlq_depth',
      'brx_parked_users', 'brx_parked_events', 'brx_misrouted_events_total', 'brx_build_info', 'process_cpu_seconds_total', 'nodejs_eventloop_lag_p99_seconds',
    ]) {
      expect(text).toMatch(new RegExp(`^# HELP ${name} \\S.+\\n# TYPE ${name} (gauge|counter|histogram)$`, 'm'));
    }
    expect(text).toMatch(/^brx_build_info\{version="\d+\.\d+\.\d+",node="v\d+\.\d+\.\d+"\} 1$/m);
  });

  test('no metric has a label that grows with users, items or events', () => {
    const labels = createMetrics().registry.getMetricsAsArray().flatMap((metric) => (metric as unknown as { labelNames: string[] }).labelNames);
    expect(new Set(labels).size).toBeGreaterThan(8);
    for (const label of labels) expect(label).not.toMatch(/user|item|event_id|offset|^key$/);
  });

  test('a pool is read at the scrape, not when it was registered', async () => {
    const metrics = createMetrics({ process: false });
    const state = { used: 1, idle: 2, max: 8, waiting: 0 };
    metrics.watchPool('postgres', () => state);
    expect(await sample(metrics, 'brx_pool_connections{pool="postgres",state="used"}')).toMatch(/ 1$/);
    Object.assign(state, { used: 8, idle: 0, waiting: 5 });
    expect(await sample(metrics, 'brx_pool_connections{pool="postgres",state="used"}')).toMatch(/ 8$/);
    expect(await sample(metrics, 'brx_pool_pending_requests{pool="postgres"}')).toMatch(/ 5$/);
    expect(await sample(metrics, 'brx_pool_max_connections{pool="postgres"}')).toMatch(/ 8$/);
  });

  test('a source that fails makes the scrape fail instead of showing an old number', async () => {
    const metrics = createMetrics({ process: false });
    metrics.beforeScrape(() => Promise.reject(new Error('gone')));
    await expect(metrics.render()).rejects.toThrow('gone');
  });

  test('a service that says nothing takes the scrape three seconds, however many counts wait for it, and the rest is served', async () => {
    const clock = fakeClock();
    const metrics = createMetrics({ process: false, clock });
    const gauges = [metrics.dlqDepth, metrics.sagaStuck, metrics.driftItems, metrics.openCircuits, metrics.syncDue];
    const names = ['brx_dlq_depth', 'brx_saga_stuck', 'brx_drift_items', 'brx_circuits_open', 'brx_listing_sync_due'];
    const asked: (() => void)[] = [];
    for (const gauge of gauges)
      metrics.countBeforeScrape({
        logger: silentLogger,
        what: 'not counted',
        read: async () => {
          await new Promise<void>((answer) => asked.push(answer));
          gauge.set(7);
        },
        unknown: () => gauge.set(Number.NaN),
      });
    metrics.watchPool('postgres', () => ({ used: 8, idle: 0, max: 8, waiting: 5 }));

    for (const scrape of [1, 2, 3]) {
      const text = metrics.render();
      await clock.advance(3_000);
      for (const name of names) expect(await text).toContain(`${name} Nan`);
      expect(await text).toContain('brx_pool_pending_requests{pool="postgres"} 5');
      expect({ scrape, asked: asked.length }).toEqual({ scrape, asked: 3 }); // three at once, and none a second time while it has no answer
    }

    const answerAll = async (): Promise<void> => {
      for (const answer of asked.splice(0)) answer();
      await clock.advance(0);
    };
    await answerAll();
    const text = metrics.render();
    await clock.advance(1_000);
    await answerAll();
    await answerAll();
    for (const name of names) expect(await text).toMatch(new RegExp(`^${name} 7$`, 'm'));
    expect(clock.sleeping).toBe(0);
  });

  test('the hot histogram says what prom-client’s own says of the same observations', async () => {
    const observations = [0, 0.01, 0.010001, 0.3, 0.3, 0.3, 7, 7_200, 7_201, 1e9];
    const metrics = createMetrics({ process: false });
    const series = metrics.endToEnd.series({ event_type: 'InventoryChanged', outcome: 'ok' });
    for (const value of observations) series.observe(value);
    const register = new Registry();
    const theirs = new Histogram({ name: 'brx_event_end_to_end_seconds', help: 'from the record’s timestamp to the commit of its effect', labelNames: ['event_type', 'outcome'], buckets: [...metrics.endToEnd.bounds], registers: [register] });
    for (const value of observations) theirs.observe({ event_type: 'InventoryChanged', outcome: 'ok' }, value);
    const ours = (await metrics.registry.getSingleMetricAsString('brx_event_end_to_end_seconds')).split('\n');
    expect(ours).toEqual((await register.getSingleMetricAsString('brx_event_end_to_end_seconds')).split('\n'));
    expect(ours.length).toBeGreaterThan(15);
  });

  test('many equal observations count as many; a clock ahead of ours counts as zero; equal labels are one series', async () => {
    const metrics = createMetrics({ process: false });
    metrics.endToEnd.series({ event_type: 'InventoryChanged', outcome: 'stale' }).observe(2, 1_000);
    metrics.endToEnd.series({ outcome: 'stale', event_type: 'InventoryChanged' }).observe(-3);
    expect(await sample(metrics, 'brx_event_end_to_end_seconds_count')).toMatch(/ 1001$/);
    expect(await sample(metrics, 'brx_event_end_to_end_seconds_sum')).toMatch(/ 2000$/);
    expect(await sample(metrics, 'brx_event_end_to_end_seconds_bucket{le="0.01"')).toMatch(/ 1$/);
  });
});
