import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { CONSUMER_STATUSES } from '../../src/platform/consumer/status.ts';
import { createMetrics, EVENT_OUTCOMES } from '../../src/platform/metrics.ts';
import { SELLER_STATUSES } from '../../src/marketplace/index.ts';
import { namesOf } from './promql.ts';

/** What is in `ops/` and `docs/runbooks/`, and the metrics they may name. Paths are relative to the repository, where tests run. */

export interface Alert {
  readonly file: string;
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
}

export const ruleFiles = (): string[] => readdirSync('ops/prometheus/rules').map((name) => name.replace(/\.yml$/, ''));

function rules(): (Rule & { file: string })[] {
  return ruleFiles().flatMap((file) => {
    const { groups } = parse(readFileSync(`ops/prometheus/rules/${file}.yml`, 'utf8')) as { groups: { rules: Rule[] }[] };
    return groups.flatMap((group) => group.rules.map((rule) => ({ ...rule, file })));
  });
}

export const alerts = (): Alert[] => rules().filter((rule): rule is Alert => rule.alert !== undefined);
export const recordings = (): { record: string; expr: string }[] => rules().flatMap(({ record, expr }) => (record === undefined ? [] : [{ record, expr }]));

export interface RuleTest {
  readonly name: string;
  readonly alert_rule_test: readonly { readonly eval_time: string; readonly alertname: string; readonly exp_alerts: readonly unknown[] }[];
}
export function ruleTests(file: string): { rule_files: string[]; tests: RuleTest[] } {
  return parse(readFileSync(`ops/prometheus/tests/${file}_test.yml`, 'utf8')) as { rule_files: string[]; tests: RuleTest[] };
}

/**
 * Series that rules and runbooks know before the code does, and who brings them. One that the code has by now must leave this list: the
 * test of alerts says so.
 */
export const AWAITED: Readonly<Record<string, { labels: readonly string[]; from: string }>> = {
};

/** Labels a scrape adds. `env` is optional: it tells several environments of one Prometheus apart. */
const TARGET_LABELS = ['job', 'instance', 'env'];
const EXTERNAL: Readonly<Record<string, readonly string[]>> = { up: TARGET_LABELS, ALERTS: ['alertname', 'alertstate', 'severity', ...TARGET_LABELS] };

/** Every name a query may use, with its labels: the code's, as they are exposed, what scrapes add, and what rules record. */
export function knownMetrics(): ReadonlyMap<string, readonly string[]> {
  const known = new Map(Object.entries(EXTERNAL));
  for (const metric of createMetrics().registry.getMetricsAsArray()) {
    const { name, labelNames, type } = metric as unknown as { name: string; labelNames: readonly string[]; type?: unknown };
    const labels = [...labelNames, ...TARGET_LABELS];
    if (type === 'histogram' || 'buckets' in metric || 'bounds' in metric) {
      known.set(`${name}_bucket`, [...labels, 'le']).set(`${name}_sum`, labels).set(`${name}_count`, labels);
    } else known.set(name, labels);
  }
  for (const [name, { labels }] of Object.entries(AWAITED)) if (!known.has(name)) known.set(name, [...labels, ...TARGET_LABELS]);
  for (const { record, expr } of recordings()) {
    const grouped = /\bby \(([^)]*)\)/.exec(expr)?.[1] ?? '';
    known.set(record, grouped.split(',').map((label) => label.trim()));
  }
  return known;
}

/** Closed lists of label values: a query for one that is not there would be empty for ever. */
const VALUES: readonly { metric: RegExp; label: string; values: readonly string[] }[] = [
  { metric: /^brx_event/, label: 'outcome', values: EVENT_OUTCOMES },
  { metric: /^brx_upstream_requests_total$/, label: 'outcome', values: ['applied', 'refused', 'throttled', 'unknown'] },
  { metric: /^brx_pool_/, label: 'pool', values: ['postgres', 'mysql', 'redis', 'cardtrader'] },
  { metric: /^brx_pool_connections$/, label: 'state', values: ['used', 'idle'] },
  { metric: /^brx_consumer_status$/, label: 'status', values: CONSUMER_STATUSES },
  { metric: /^brx_marketplace_sellers$/, label: 'status', values: Object.keys(SELLER_STATUSES) },
  { metric: /^brx_server_/, label: 'server', values: ['postgres', 'mysql', 'redis'] },
  { metric: /^brx_event_end_to_end_seconds_bucket$/, label: 'le', values: createMetrics({ process: false }).endToEnd.bounds.map(String) },
];

/** What is wrong with the names of a query, in words; empty if nothing is. */
export function unknownNames(expression: string, known = knownMetrics()): string[] {
  const { selectors, labels } = namesOf(expression);
  const problems: string[] = [];
  const all = new Set<string>();
  for (const { metric, matchers } of selectors) {
    const its = known.get(metric);
    if (its === undefined) problems.push(`there is no metric ${metric}`);
    for (const label of its ?? []) all.add(label);
    for (const { label, value } of matchers) {
      if (its !== undefined && !its.includes(label)) problems.push(`${metric} has no label ${label}`);
      const closed = VALUES.find((each) => each.metric.test(metric) && each.label === label);
      if (closed === undefined || value.includes('$')) continue;
      for (const one of value.split('|')) if (!closed.values.includes(one)) problems.push(`${label} of ${metric} is never ${one}`);
    }
  }
  if (selectors.length > 0) for (const label of labels) if (!all.has(label)) problems.push(`none of its metrics has a label ${label}`);
  return problems;
}
