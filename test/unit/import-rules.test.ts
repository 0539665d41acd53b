import { readdirSync, readFileSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { checkRules, describeViolations, RULES, type Exceptions, type Files, type Rule } from '../support/import-rules.ts';
import { scan } from '../support/source-scan.ts';

/** The layout of DESIGN section 6 as a check that fails, and a proof that each rule can. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const GENERATED = 'src/platform/postgres/generated/';

const EXCEPTIONS: Exceptions = {};

function sourceFiles(): Files {
  const files: Record<string, string> = {};
  for (const folder of ['src', 'test', 'stack', 'demo', 'bench']) {
    for (const entry of readdirSync(`${ROOT}/${folder}`, { recursive: true, withFileTypes: true })) {
      const path = relative(ROOT, `${entry.parentPath}/${entry.name}`).replaceAll(sep, '/');
      if (entry.isFile() && path.endsWith('.ts') && !path.startsWith(GENERATED) && !path.includes('/node_modules/')) files[path] = readFileSync(`${ROOT}/${path}`, 'utf8');
    }
  }
  return files;
}

test('this repository keeps its rules', () => {
  const files = sourceFiles();
  expect(Object.keys(files).length).toBeGreaterThan(20);
  const violations = checkRules(files, EXCEPTIONS);
  expect(violations, `\n${describeViolations(violations)}\n`).toEqual([]);
});

describe('each rule catches its violation', () => {
  const cases: [rule: Rule, what: string, files: Files, at: string][] = [
    ['layers', 'platform imports a feature', { 'src/platform/a.ts': "import { x } from '../ingest/index.ts';" }, 'src/platform/a.ts:1'],
    ['layers', 'a feature imports the command line, even as a type', { 'src/ingest/a.ts': "import type { CliContext } from '../cli/context.ts';" }, 'src/ingest/a.ts:1'],
    ['layers', 'a feature imports main', { 'src/ingest/a.ts': "\nexport { run } from '../main.ts';" }, 'src/ingest/a.ts:2'],
    ['layers', 'flow imports main, dynamically', { 'src/flow.ts': "const m = await import('./main.ts');" }, 'src/flow.ts:1'],
    ['layers', 'the contract imports errors', { 'src/contract/a.ts': "import { BrxError } from '../errors.ts';" }, 'src/contract/a.ts:1'],
    ['layers', 'errors import something', { 'src/errors.ts': "import type { T } from './contract/index.ts';" }, 'src/errors.ts:1'],
    ['layers', 'config imports a feature', { 'src/config.ts': "import { x } from './http/index.ts';" }, 'src/config.ts:1'],
    ['layers', 'a feature runs config', { 'src/http/a.ts': "import { readConfig } from '../config.ts';" }, 'src/http/a.ts:1'],
    ['layers', 'platform runs config through an inline type import, which verbatimModuleSyntax keeps', { 'src/platform/a.ts': "import { type Config } from '../config.ts';" }, 'src/platform/a.ts:1'],
    ['outside', 'src imports what is not shipped', { 'src/ingest/a.ts': "import { x } from '../../test/support/x.ts';" }, 'src/ingest/a.ts:1'],
    ['index-only', 'another feature by the back door', { 'src/ingest/a.ts': "import { fold } from '../inventory/fold.ts';" }, 'src/ingest/a.ts:1'],
    ['index-only', 'the command line by the back door, as a type', { 'src/cli/a.ts': "import type { T } from '../ingest/chunk.ts';" }, 'src/cli/a.ts:1'],
    ['index-only', 'one operation reaches into another', { 'src/operations/verify/a.ts': "import { x } from '../generate/random.ts';" }, 'src/operations/verify/a.ts:1'],
    ['index-only', 'a folder of platform by the back door', { 'src/ingest/a.ts': "import { x } from '../platform/postgres/pool.ts';" }, 'src/ingest/a.ts:1'],
    ['own-index', 'a sibling through its own index', { 'src/ingest/a.ts': "import { x } from './index.ts';" }, 'src/ingest/a.ts:1'],
    ['own-index', 'and from a folder below', { 'src/ingest/deep/a.ts': "import { x } from '../index.ts';" }, 'src/ingest/deep/a.ts:1'],
    ['cycle', 'three files in a circle', { 'src/http/a.ts': "import './b.ts';", 'src/http/b.ts': "export * from './c.ts';", 'src/http/c.ts': "import { a } from './a.ts';" }, 'src/http/c.ts:1'],
    ['sql', 'SQL in a template', { 'src/ingest/a.ts': 'const q = `\n  SELECT 1`;' }, 'src/ingest/a.ts:1'],
    ['sql', 'SQL in a string', { 'src/ingest/a.ts': "const a = 1;\nconst q = 'DELETE FROM stock_ledger';" }, 'src/ingest/a.ts:2'],
    ['sql', 'SQL in a template with a hole', { 'src/cli/a.ts': 'const q = `UPDATE ${table} SET a = 1`;' }, 'src/cli/a.ts:1'],
    ['environment', 'process.env', { 'src/platform/a.ts': 'const a = process.env.HOME;' }, 'src/platform/a.ts:1'],
    ['environment', 'process[...]', { 'src/platform/a.ts': "const a = process['env'];" }, 'src/platform/a.ts:1'],
    ['environment', 'env of node:process', { 'src/cli/a.ts': "import { env } from 'node:process';" }, 'src/cli/a.ts:1'],
    ['clock', 'Date.now', { 'src/ingest/a.ts': 'const t = Date.now();' }, 'src/ingest/a.ts:1'],
    ['clock', 'Date.now handed on', { 'src/ingest/a.ts': 'const now = Date.now;' }, 'src/ingest/a.ts:1'],
    ['clock', 'new Date() of now', { 'src/cli/a.ts': 'const t = new Date();' }, 'src/cli/a.ts:1'],
    ['clock', 'chance', { 'src/ingest/a.ts': 'const t = Math.random();' }, 'src/ingest/a.ts:1'],
    ['clock', 'timers', { 'src/ingest/a.ts': 'setTimeout(() => 1, 5);' }, 'src/ingest/a.ts:1'],
    ['clock', 'timers of Node', { 'src/ingest/a.ts': "import { setTimeout as sleep } from 'node:timers/promises';" }, 'src/ingest/a.ts:1'],
    ['clock', 'random ids', { 'src/ingest/a.ts': "import { randomUUID } from 'node:crypto';" }, 'src/ingest/a.ts:1'],
    ['pure', 'the contract imports Node', { 'src/contract/a.ts': "import { readFileSync } from 'node:fs';" }, 'src/contract/a.ts:1'],
    ['pure', 'the contract imports a package', { 'src/contract/a.ts': "import pg from 'pg';" }, 'src/contract/a.ts:1'],
    ['pure', 'the fold imports platform, even as a type', { 'src/inventory/fold.ts': "import type { Clock } from '../platform/clock.ts';" }, 'src/inventory/fold.ts:1'],
    ['pure', 'the fold runs a sibling that imports Node', { 'src/inventory/fold.ts': "import { x } from './item.ts';", 'src/inventory/item.ts': "import { x } from 'node:crypto';" }, 'src/inventory/item.ts:1'],
    ['clients', 'undici outside the CardTrader client', { 'src/http/a.ts': "import { request } from 'undici';" }, 'src/http/a.ts:1'],
    ['clients', 'mysql2 outside platform/mysql', { 'src/catalogue/a.ts': "import { createPool } from 'mysql2/promise';" }, 'src/catalogue/a.ts:1'],
    ['clients', 'ioredis outside platform/redis', { 'src/marketplace/limiter/a.ts': "import type { Redis } from 'ioredis';" }, 'src/marketplace/limiter/a.ts:1'],
    ['clients', 'OpenTelemetry outside platform/tracing, even as a type', { 'src/ingest/a.ts': "import type { Span } from '@opentelemetry/api';" }, 'src/ingest/a.ts:1'],
    ['pure', 'the verdict on an answer imports Node', { 'src/marketplace/client/verdict.ts': "import { x } from 'node:crypto';" }, 'src/marketplace/client/verdict.ts:1'],
    ['kafkajs', 'kafkajs in a feature, even as a type', { 'src/operations/lag/a.ts': "import type { Kafka } from 'kafkajs';" }, 'src/operations/lag/a.ts:1'],
    ['length', 'a file of 401 lines', { 'stack/a.ts': 'x;\n'.repeat(401) }, 'stack/a.ts:402'],
    ['unfinished', 'a focused test', { 'test/unit/a.test.ts': "test.only('x', () => {});" }, 'test/unit/a.test.ts:1'],
    ['unfinished', 'a skipped test', { 'test/unit/a.test.ts': "describe.concurrent.skip('x', () => {});" }, 'test/unit/a.test.ts:1'],
    ['unfinished', 'a test that is skipped sometimes', { 'test/unit/a.test.ts': "test.skipIf(true)('x', () => {});" }, 'test/unit/a.test.ts:1'],
    ['unfinished', 'a note', { 'src/ingest/a.ts': '// TO' + 'DO later' }, 'src/ingest/a.ts:1'],
  ];

  test.each(cases)('%s: %s', (rule, _what, files, at) => {
    const violations = checkRules(files);
    expect(violations.map((violation) => violation.rule)).toEqual([rule]);
    expect(describeViolations(violations)).toMatch(new RegExp(`^${at} ${rule}: .+: .+`));
  });

  test('every rule has a case', () => {
    expect(new Set(cases.map(([rule]) => rule))).toEqual(new Set(RULES));
  });

  test('an exception excuses its file and rule only, and must be needed', () => {
    const files = { 'src/ingest/a.ts': 'Date.now(); process.env.X;', 'src/ingest/b.ts': 'Date.now();' };
    const exceptions = { clock: { 'src/ingest/a.ts': 'a reason', 'src/ingest/c.ts': 'outdated' } };
    expect(checkRules(files, exceptions).map(({ file, rule }) => `${file} ${rule}`)).toEqual(['src/ingest/a.ts environment', 'src/ingest/b.ts clock', 'src/ingest/c.ts clock']);
  });
});

describe('what is allowed stays allowed', () => {
  test.each<[string, Files]>([
    ['looking down, through an index', { 'src/cli/a.ts': "import { x } from '../ingest/index.ts';\nimport { run } from '../main.ts';", 'src/ingest/b.ts': "import { y } from '../inventory/index.ts';\nimport { faultPoint } from '../platform/fault-points.ts';" }],
    ['config as a type below, as a value above', { 'src/platform/a.ts': "import type { KafkaConfig } from '../config.ts';", 'src/cli/a.ts': "import { readConfig } from '../config.ts';", 'src/config.ts': "import { FAULT_POINTS } from './platform/fault-points.ts';" }],
    ['a circle of types, or one that is closed later', { 'src/http/a.ts': "import type { B } from './b.ts';", 'src/http/b.ts': "import { a } from './a.ts';", 'src/http/c.ts': "import { d } from './d.ts';", 'src/http/d.ts': "const c = await import('./c.ts');" }],
    ['words that only look like it', { 'src/ingest/a.ts': "// process.env and Date.now() and import 'kafkajs'\nconst a = 'process.env'; const b = `Date.now() ${a} SELECT 1`; const c = 'SELECTED'; const d = /['\"`] process.env/; new Date(5); clock.setTimeout(1);" }],
    ['SQL where it belongs', { 'src/ingest/a.sql.ts': 'export const q = `SELECT 1`;' }],
    ['tests and tools may do more than src', { 'test/support/a.ts': "import { Kafka } from 'kafkajs'; Date.now(); const q = 'SELECT 1'; process.env.X = '1';", 'stack/a.ts': 'setTimeout(() => 1, 1);' }],
  ])('%s', (_what, files) => {
    expect(describeViolations(checkRules(files))).toBe('');
  });
});

test('imports are found in every form they come in', () => {
  const found = scan(`import a from 'a'; import type B from 'b'; import { c,\n  type d } from "c";import * as e from 'e';
import 'f'; export * from 'g'; export type { H } from 'h'; export { i as j } from 'i'; const k = await import('k');
import type, { l } from 'l'; // import 'no1'
/* import 'no2' */ const s = "import 'no3'"; const t = \`\${await import('m')} import 'no4' \${\`\${"}"}\`} import 'no5'\`; import n from 'n'; export const from = 'no6';
const r = x / y; import o from 'o'; const u = z.import('no7'); type V = import('p').V;`);
  expect(found.imports.map(({ specifier, kind }) => `${specifier} ${kind}`)).toEqual([
    'a value', 'b type', 'c value', 'e value', 'f value', 'g value', 'h type', 'i value', 'k dynamic', 'l value', 'm dynamic', 'n value', 'o value', 'p dynamic',
  ]);
});
