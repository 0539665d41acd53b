import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { stackUrls } from '../support/stack.ts';

/**
 * `npm run demo` is the first thing anyone sees of this project: the built demo, small, as a child process. It also is the whole
 * way once: generate, publish, two workers, SIGKILL, takeover, graceful stop, verify, and the commands it tells people to try.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DEMO = `${ROOT}/dist/demo/main.js`;
const children: ChildProcess[] = [];

beforeAll(() => {
  expect(existsSync(DEMO), 'the demo is built (npm run build)').toBe(true);
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Running {
  child: ChildProcess;
  /** Everything it has said so far. */
  said: () => string;
  /** Resolves when it has said this. */
  says: (text: string) => Promise<void>;
  ended: Promise<number | null>;
}

function start(program: string, args: readonly string[], environment: Record<string, string> = {}): Running {
  const { source, kafkaBrokers, registryUrl, databaseUrl, mysqlUrl, redisUrl } = stackUrls();
  const given = { BRX_STACK: source === 'native' ? 'native' : 'environment', BRX_KAFKA_BROKERS: kafkaBrokers, BRX_SCHEMA_REGISTRY_URL: registryUrl, BRX_DATABASE_URL: databaseUrl, BRX_MYSQL_URL: mysqlUrl, BRX_REDIS_URL: redisUrl };
  const child = spawn(program, args, { cwd: ROOT, env: { ...process.env, ...given, ...environment } });
  children.push(child);
  let said = '';
  const heard = (piece: Buffer): void => void (said += stripVTControlCharacters(piece.toString()));
  child.stdout.on('data', heard);
  child.stderr.on('data', heard);
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const says = async (text: string): Promise<void> => {
    while (!said.includes(text)) {
      const outcome = await Promise.race([once(child.stdout, 'data').then(() => 'more' as const), ended.then(() => 'ended' as const)]);
      if (outcome === 'ended' && !said.includes(text)) throw new Error(`it ended without saying "${text}":\n${said}`);
    }
  };
  return { child, said: () => said, says, ended };
}

test('a small demo run kills a worker, ends with 0 and a report of kept promises, and its commands work', { timeout: 150_000 }, async () => {
  const demo = start(process.execPath, [DEMO, '--events', '4000', '--users', '100', '--seed', '7']);
  const code = await demo.ended;
  const report = demo.said();

  expect(code, report).toBe(0);
  expect(report).toMatch(/worker [ab] killed at \d+ %: SIGKILL/);
  expect(report).toMatch(/recovered after \d+\.\d s/);
  for (const promise of ['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7', 'P8', 'P9']) expect(report).toMatch(new RegExp(`^ +${promise} .+ held `, 'm'));
  expect(report).not.toContain('BROKEN');
  expect(report).toContain('4,000 published, 4,000 accounted for');
  expect(report).toContain('All promises this run can judge held.');

  const commands = report.slice(report.indexOf('Try next')).match(/^ +\S.*npx brx-sync .+$/gm) ?? [];
  expect(commands.map((command) => / brx-sync (\w+)/.exec(command)?.[1])).toEqual(['item', 'saga', 'dlq', 'lag']);
  const tried = commands.map((command) => {
    // What it prints is for a shell without settings of its own.
    const unset = ['BRX_KAFKA_BROKERS', 'BRX_SCHEMA_REGISTRY_URL', 'BRX_DATABASE_URL'].map((name) => `-u ${name}`).join(' ');
    return start('sh', ['-c', `exec env ${unset} sh -c "$COMMAND"`], { COMMAND: command.trim() });
  });
  expect(await Promise.all(tried.map(({ ended }) => ended)), tried.map(({ said }) => said()).join('\n')).toEqual([0, 0, 0, 0]);
  expect(tried[0]?.said()).toContain('history, newest first');
  expect(tried[1]?.said()).toContain('outcome CONFIRMED told');
  expect(tried[2]?.said()).toContain('undecodable');
  expect(tried[3]?.said()).toContain('behind: 0 records');
});

test('Ctrl-C stops the workers, says what is left, and ends with 130', { timeout: 90_000 }, async () => {
  const demo = start(process.execPath, [DEMO, '--events', '4000', '--users', '100']);
  await demo.says('published');
  const pids = [...demo.said().matchAll(/process (\d+)/g)].map(([, pid]) => Number(pid));
  expect(pids).toHaveLength(2);

  demo.child.kill('SIGINT');
  expect(await demo.ended, demo.said()).toBe(130);
  expect(demo.said()).toContain('Interrupted. The workers have stopped.');
  for (const pid of pids) expect(() => process.kill(pid, 0), `worker ${pid} is gone`).toThrow('ESRCH');
});

test('an option it does not have is told, with what to do', { timeout: 30_000 }, async () => {
  const demo = start(process.execPath, [DEMO, '--events', 'many']);
  expect(await demo.ended).toBe(2);
  expect(demo.said()).toContain('--events many: must be a whole number from 1,000 to 10,000,000');
});
