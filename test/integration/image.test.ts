import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { stackUrls } from '../support/stack.ts';

/** Protects: what the Dockerfile puts into the image is enough to run. There is no Docker here: the same files are put into a folder, and packages are those of this checkout. */
let image: string;
let database: TestDatabase;

beforeAll(async () => {
  image = mkdtempSync(join(tmpdir(), 'brx-image-'));
  const copies = [...readFileSync('Dockerfile', 'utf8').matchAll(/^COPY --from=build (.+) (\S+)$/gm)].flatMap(([, sources = '', to = '']) => sources.split(' ').map((from) => ({ from: from.replace(/^\/app\//, ''), to })));
  for (const { from, to } of copies) {
    const target = join(image, to === './' ? from : to);
    if (from === 'node_modules') symlinkSync(join(process.cwd(), from), target, 'dir');
    else cpSync(from, target, { recursive: true });
  }
  database = await createEmptyDatabase();
});
afterAll(async () => {
  await database.drop();
  rmSync(image, { recursive: true, force: true });
});

function run(...args: string[]): Promise<{ code: number; text: string }> {
  const stack = stackUrls();
  const environment = { PATH: dirname(process.execPath), NODE_ENV: 'production', BRX_ENV_FILE: 'none', BRX_DATABASE_URL: database.url, BRX_KAFKA_BROKERS: stack.kafkaBrokers, BRX_SCHEMA_REGISTRY_URL: stack.registryUrl };
  return new Promise((resolve) => {
    execFile('node', ['dist/src/cli/main.js', ...args], { cwd: image, env: environment }, (error, stdout, stderr) => resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, text: stdout + stderr }));
  });
}

test('it finds its schemas and its migrations, and nothing else of the checkout is needed', async () => {
  const schemas = await run('schemas', 'check');
  expect(schemas.code, schemas.text).toBe(0);
  const migrated = await run('migrate');
  expect(migrated.code, migrated.text).toBe(0);
  const status = await run('migrate', 'status');
  expect(status.code, status.text).toBe(0);
});

test('it has the console', async () => {
  const served = await new Promise<string>((resolve) => {
    execFile('node', ['--input-type=module', '-e', "const { consoleRoutes } = await import('./dist/src/http/index.js'); process.stdout.write(String((await consoleRoutes()[0].handle({ params: {}, query: {} })).body))"], { cwd: image }, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
  expect(served).toContain('/console/app.js');
});
