import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { createMetrics } from '../../../src/platform/metrics.ts';
import { alerts, AWAITED, type Alert, knownMetrics, recordings, ruleFiles, ruleTests, unknownNames } from '../../support/operations-files.ts';
import { namesOf } from '../../support/promql.ts';

/** Protects: an alert that fires is about something the program measures, says what it is and where to go on. promtool runs the rules themselves (integration/promtool). */
const all = alerts();

describe('every alert', () => {
  test('is there once', () => {
    expect(all.length).toBeGreaterThan(25);
    expect(new Set(all.map(({ alert }) => alert)).size).toBe(all.length);
  });

  test.each(all)('$alert names what the code measures', ({ expr }) => {
    expect(unknownNames(expr)).toEqual([]);
  });

  test.each(all)('$alert says how bad it is, what it means, and where to read on', ({ alert, labels, annotations }) => {
    expect(alert).toMatch(/^Brx[A-Z][A-Za-z]+$/);
    expect(['critical', 'warning', ...(alert === 'BrxWatchdog' ? ['none'] : [])]).toContain(labels?.['severity']);
    expect(annotations?.['summary']).toMatch(/^\S.{20,}\.$/);
    expect(annotations?.['runbook_url']).toBe(`docs/runbooks/${alert}.md`);
  });

  test.each(all)('$alert has a case in which it fires and one in which it is quiet', ({ file, alert }) => {
    const cases = ruleTests(file).tests.flatMap(({ alert_rule_test }) => alert_rule_test).filter(({ alertname }) => alertname === alert);
    expect(cases.filter(({ exp_alerts }) => exp_alerts.length > 0)).not.toEqual([]);
    if (alert !== 'BrxWatchdog') expect(cases.filter(({ exp_alerts }) => exp_alerts.length === 0)).not.toEqual([]);
  });
});

test('every file of rules has its file of tests, which reads it; no test is for an alert that is not there', () => {
  expect(readdirSync('ops/prometheus/tests').sort()).toEqual(ruleFiles().map((file) => `${file}_test.yml`).sort());
  for (const file of ruleFiles()) {
    const { rule_files, tests } = ruleTests(file);
    expect(rule_files).toEqual([`../rules/${file}.yml`]);
    const names = all.filter((alert) => alert.file === file).map(({ alert }) => alert);
    for (const { alert_rule_test } of tests) for (const { alertname } of alert_rule_test) expect(names).toContain(alertname);
  }
});

test.each(recordings())('$record records what the code measures', ({ record, expr }) => {
  expect(record).toMatch(/^brx:[a-z_]+:[a-z0-9_]+$/);
  expect(unknownNames(expr)).toEqual([]);
});

describe('an alert that keeps another from being told', () => {
  const { inhibit_rules: rules } = parse(readFileSync('ops/alertmanager/alertmanager.yml', 'utf8')) as { inhibit_rules: { source_matchers: string[]; target_matchers: string[]; equal?: string[] }[] };
  const known = knownMetrics();

  /** Labels that tell alerts of the same name apart. */
  function labelsOf({ expr }: Alert): Set<string> {
    const { labels, selectors } = namesOf(expr);
    return new Set(labels.length > 0 ? labels : selectors.flatMap(({ metric }) => known.get(metric) ?? []));
  }
  const matching = (matchers: readonly string[]): Alert[] =>
    all.filter(({ alert, labels }) =>
      matchers.every((matcher) => {
        const [, label = '', op = '', value = ''] = /^(\w+)(=~|!=|=)"(.*)"$/.exec(matcher) ?? [];
        const its = label === 'alertname' ? alert : (labels?.[label] ?? '');
        return op === '=~' ? new RegExp(`^(?:${value})$`).test(its) : (its === value) === (op === '=');
      }),
    );
  const pairs = rules.flatMap(({ source_matchers, target_matchers, equal = [] }) => matching(source_matchers).flatMap((source) => matching(target_matchers).map((target) => ({ name: source.alert, other: target.alert, source, target, equal }))));

  test('is there, and so is the other', () => {
    for (const { source_matchers, target_matchers } of rules) for (const matchers of [source_matchers, target_matchers]) expect(matching(matchers), matchers.join()).not.toEqual([]);
  });

  test.each(pairs)('$name is about the same thing as $other: what both have a label for is equal', ({ source, target, equal }) => {
    const others = labelsOf(target);
    const shared = [...labelsOf(source)].filter((label) => others.has(label));
    expect([...equal].sort()).toEqual([...new Set(shared)].sort());
  });
});

test('a series that is awaited is not there yet: once it is, its entry goes', () => {
  const code = createMetrics().registry.getMetricsAsArray().map(({ name }) => name);
  for (const name of Object.keys(AWAITED)) expect(code).not.toContain(name);
});

describe('the check itself', () => {
  test('reads metrics, their labels, and what is grouped by', () => {
    expect(namesOf('sum by (a, b) (rate(x_total{c="d", e=~"f|$g"}[5m] offset 1h)) / on (a) group_left (h) max(y:z) > 0.8 and absent(up)')).toEqual({
      selectors: [
        { metric: 'x_total', matchers: [{ label: 'c', op: '=', value: 'd' }, { label: 'e', op: '=~', value: 'f|$g' }] },
        { metric: 'y:z', matchers: [] },
        { metric: 'up', matchers: [] },
      ],
      labels: ['a', 'b', 'a', 'h'],
    });
  });

  test.each([
    ['sum(rate(brx_event_total[5m]))', 'there is no metric brx_event_total'],
    ['brx_chunk_seconds', 'there is no metric brx_chunk_seconds'],
    ['brx_pool_connections{status="used"}', 'brx_pool_connections has no label status'],
    ['brx_pool_connections{state="busy"}', 'state of brx_pool_connections is never busy'],
    ['brx_events_total{outcome!~"duplicate|failed"}', 'outcome of brx_events_total is never failed'],
    ['brx_event_end_to_end_seconds_bucket{le="20"}', 'le of brx_event_end_to_end_seconds_bucket is never 20'],
    ['sum by (queue) (brx_outbox_pending)', 'none of its metrics has a label queue'],
    ['brx:pool_used:ratio{server="redis"}', 'brx:pool_used:ratio has no label server'],
  ])('finds what is wrong with %s', (expr, problem) => {
    expect(unknownNames(expr)).toEqual([problem]);
  });

  test('knows histograms by what they expose, the process’s own ones too', () => {
    const known = knownMetrics();
    expect(known.get('brx_event_end_to_end_seconds_bucket')).toContain('le');
    expect(known.has('nodejs_gc_duration_seconds_sum')).toBe(true);
    expect(known.has('brx_saga_seconds')).toBe(false);
  });
});
