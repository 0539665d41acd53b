import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { createMetrics } from '../../../src/platform/metrics.ts';
import { unknownNames } from '../../support/operations-files.ts';

/** Protects: no panel is empty because nobody measures what it asks for, and what is measured can be seen. */
interface Panel {
  id: number;
  type: string;
  title: string;
  datasource?: { type: string; uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { refId: string; expr: string; datasource: { uid: string } }[];
}
interface Dashboard {
  uid: string;
  title: string;
  editable: boolean;
  panels: Panel[];
  templating: { list: { name: string; query: { query: string }; allValue: string }[] };
  links: { url: string }[];
}

const FOLDER = 'ops/grafana/dashboards';
const dashboards = readdirSync(FOLDER).map((file) => ({ file, board: JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as Dashboard }));
const queries = dashboards.flatMap(({ file, board }) => board.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ file, title, expr }))));

test('there is something to look at', () => {
  expect(dashboards.map(({ board }) => board.uid).sort()).toEqual(['brx-objectives', 'brx-sync']);
  expect(queries.length).toBeGreaterThan(80);
});

test.each(queries)('$file, $title: $expr', ({ expr }) => {
  expect(unknownNames(expr)).toEqual([]);
});

describe.each(dashboards)('$file', ({ board }) => {
  test('has only variables it defines, each from a metric and label that exist', () => {
    const names = board.templating.list.map(({ name }) => `$${name}`);
    const used = new Set(board.panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => expr.match(/\$\w+/g) ?? [])));
    used.delete('$__rate_interval');
    for (const name of used) expect(names).toContain(name);
    for (const { query, allValue } of board.templating.list) {
      const [, selector = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(query.query) ?? [];
      expect(unknownNames(`max by (${label}) (${selector})`), query.query).toEqual([]);
      expect(allValue).toBe('.*'); // series without the label too
    }
  });

  test('every panel asks the provisioned Prometheus, has an id of its own and a place where no other is', () => {
    const { datasources } = parse(readFileSync('ops/grafana/datasources.yml', 'utf8')) as { datasources: { uid: string }[] };
    const taken = new Set<string>();
    for (const { title, type, datasource, gridPos: { x, y, w, h }, targets = [] } of board.panels) {
      if (type !== 'row') expect([datasource?.uid, ...targets.map((target) => target.datasource.uid)], title).toEqual(Array(targets.length + 1).fill(datasources[0]?.uid));
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column += 1) {
        for (let line = y; line < y + h; line += 1) {
          expect(taken.has(`${column}/${line}`), `${title} covers another panel`).toBe(false);
          taken.add(`${column}/${line}`);
        }
      }
    }
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
  });

  test('links lead to dashboards that are there', () => {
    for (const { url } of board.links) expect(dashboards.map((each) => `/d/${each.board.uid}`)).toContain(url);
  });
});

test('the overview has its rows in the order one looks', () => {
  const rows = dashboards.find(({ board }) => board.uid === 'brx-sync')?.board.panels.filter(({ type }) => type === 'row');
  expect(rows?.map(({ title }) => title)).toEqual(['Health now', 'Events: rate, errors, duration', 'Pools: use, saturation, errors', 'Kafka consumers', 'Outbox and sales', 'CardTrader and its limit', 'Sales on CardTrader', 'Process', 'Blueprint mapping', 'Listing sync', 'Inventory queries and the API', 'Bulk sync and drift']);
});

test('every metric of ours is on a dashboard', () => {
  const shown = new Set([...queries.map(({ expr }) => expr), ...readdirSync('ops/prometheus/rules').map((file) => readFileSync(`ops/prometheus/rules/${file}`, 'utf8'))].flatMap((text) => text.match(/\bbrx_\w+/g) ?? []));
  const own = createMetrics({ process: false }).registry.getMetricsAsArray().map(({ name }) => name);
  const missing = own.filter((name) => ![name, `${name}_bucket`, `${name}_sum`].some((exposed) => shown.has(exposed)));
  expect(missing).toEqual([]);
});

test('the provider shows what is in git and lets nobody change it unseen', () => {
  const { providers } = parse(readFileSync('ops/grafana/dashboards.yml', 'utf8')) as { providers: { allowUiUpdates: boolean; options: { path: string } }[] };
  expect(providers).toMatchObject([{ allowUiUpdates: false, options: { path: '/etc/grafana/dashboards' } }]);
});
