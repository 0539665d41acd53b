// `npm test`: types, lint, the tests that need no services, the build, the tests that need them; then one line for the whole run,
// `N passed, N failed`. A step that fails without a failed test (a type error, a crash, a suite that cannot be loaded, a missing
// report, the deadline) counts as one failure, so that nothing that went wrong can read as passed.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// It takes about a third of this on two quiet cores; on a busy machine a late result is still better than none.
const DEADLINE_MS = 75 * 60_000;
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const reports = mkdtempSync(join(tmpdir(), 'brx-test-'));
const begun = performance.now();
let passed = 0;
let failed = 0;

/** Exit code of a command; whatever is not an exit code (a signal, the deadline) is 1. */
function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit' });
    const left = DEADLINE_MS - (performance.now() - begun);
    const timer = setTimeout(() => {
      process.stderr.write(`the run is over its ${DEADLINE_MS / 60_000} minutes: ending ${command} ${args.join(' ')}\n`);
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), 10_000).unref();
    }, Math.max(0, left));
    const end = (code) => {
      clearTimeout(timer);
      resolve(code ?? 1);
    };
    child.once('error', (error) => {
      process.stderr.write(`${command}: ${error.message}\n`);
      end(1);
    });
    child.once('close', end);
  });
}

async function script(name) {
  const code = await run('npm', ['run', '--silent', name]);
  if (code !== 0) failed += 1;
  return code === 0;
}

async function tests(...projects) {
  const file = join(reports, `${projects.join('-')}.json`);
  const args = ['run', ...projects.flatMap((project) => ['--project', project]), '--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const code = await run(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args]);
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    process.stderr.write(`vitest left no report for ${projects.join(', ')}\n`);
  }
  passed += report?.numPassedTests ?? 0;
  const failures = report?.numFailedTests ?? 0;
  const sound = code === 0 && report?.success === true && failures === 0;
  failed += sound ? 0 : Math.max(1, failures);
  const skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
  if (skipped > 0) process.stderr.write(`${skipped} tests of ${projects.join(', ')} were skipped and count as neither\n`);
}

if ((await script('types')) && (await script('lint'))) {
  await tests('unit', 'property', 'contract');
  if (await script('build')) await tests('integration', 'crash');
}
rmSync(reports, { recursive: true, force: true });
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
