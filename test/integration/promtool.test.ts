import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { findPromtool, readSettings } from '../../stack/index.ts';
import { createMetrics } from '../../src/platform/metrics.ts';
import { ruleFiles } from '../support/operations-files.ts';

/**
 * Protects: alerts fire when they should and keep still when they should, by Prometheus' own evaluation. promtool is in Debian's package
 * `prometheus`; where it cannot be had, each test here says that nothing was run, and test/unit/ops is all there is.
 */
let promtool: string | undefined;
let folder: string;

beforeAll(async () => {
  promtool = await findPromtool(readSettings(), (line) => process.stderr.write(`promtool: ${line}\n`));
  folder = mkdtempSync(join(tmpdir(), 'brx-promtool-'));
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Exit code and all it printed; undefined without a promtool, which is said. */
async function run(args: readonly string[], cwd = '.', input = ''): Promise<{ code: number; text: string } | undefined> {
  const program = promtool;
  if (program === undefined) {
    process.stderr.write(`NOT RUN, there is no promtool: promtool ${args.join(' ')}\n`);
    return undefined;
  }
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { cwd }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ code: typeof error?.code === 'number' ? error.code : 0, text: stdout + stderr });
    });
    child.stdin?.end(input);
  });
}

test.each(ruleFiles())('rules of %s: every case is as promtool sees it', async (file) => {
  const result = await run(['test', 'rules', `${file}_test.yml`], 'ops/prometheus/tests');
  if (result !== undefined) expect(result.code, result.text).toBe(0);
});

test('promtool finds a rule that does not do what its case says', async () => {
  const broken = readFileSync('ops/prometheus/rules/pools.yml', 'utf8').replaceAll('> 0.8', '> 0.95');
  writeFileSync(join(folder, 'broken.yml'), broken);
  writeFileSync(join(folder, 'broken_test.yml'), readFileSync('ops/prometheus/tests/pools_test.yml', 'utf8').replace('../rules/pools.yml', 'broken.yml'));
  const result = await run(['test', 'rules', 'broken_test.yml'], folder);
  if (result === undefined) return;
  expect(result.code).not.toBe(0);
  expect(result.text).toContain('BrxPoolNearLimit');
});

test('the configuration and its rules load', async () => {
  const result = await run(['check', 'config', 'ops/prometheus/prometheus.yml']);
  if (result === undefined) return;
  expect(result.code, result.text).toBe(0);
  for (const file of ruleFiles()) expect(result.text).toContain(`rules/${file}.yml`);
});

test('every query of the dashboards is PromQL', async () => {
  const boards = readdirSync('ops/grafana/dashboards').map((file) => JSON.parse(readFileSync(`ops/grafana/dashboards/${file}`, 'utf8')) as { panels: { targets?: { expr: string }[] }[] });
  const exprs = boards.flatMap(({ panels }) => panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '5m'))));
  expect(exprs.length).toBeGreaterThan(80);
  writeFileSync(join(folder, 'queries.yml'), stringify({ groups: [{ name: 'queries', rules: exprs.map((expr, index) => ({ record: `query:${index}`, expr })) }] }));
  const result = await run(['check', 'rules', join(folder, 'queries.yml')]);
  if (result !== undefined) expect(result.code, result.text).toBe(0);
});

test('our metrics are named as Prometheus wants them', async () => {
  const result = await run(['check', 'metrics'], '.', await createMetrics({ process: false }).render());
  if (result !== undefined) expect(result, result.text).toEqual({ code: 0, text: '' });
});
