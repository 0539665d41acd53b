import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs, parseEnv } from 'node:util';
import { BrxError } from '../src/errors.ts';
import { composeRuns, downCompose, upCompose } from './compose.ts';
import { engineAnswers, findCompose } from './engine.ts';
import { sourceFor } from './index.ts';
import { downNative, nativeRuns, resetNative, statusNative, upNative } from './native.ts';
import { containerUrls, type Report, type StackUrls } from './model.ts';
import { sweepPrivate } from './private.ts';
import { probesOf, waitForAll, withoutPassword } from './probes.ts';
import { readSettings, type StackSettings } from './settings.ts';
import { environmentUrls } from './source.ts';

const HELP = `The local services of BRX Sync: Kafka, schema registry, PostgreSQL, MariaDB and Redis.

  npm run stack:up        start them and wait until they answer
  npm run stack:status    what runs, and where
  npm run stack:down      stop them, keep their data
  npm run stack:reset     stop them and delete their data (downloads stay)

Options, after \`--\` (npm run stack:status -- --json)
  --json    one JSON document on standard output
  --help    this text

They come from the first of: URLs in the environment (BRX_KAFKA_BROKERS, BRX_SCHEMA_REGISTRY_URL, BRX_DATABASE_URL,
BRX_MYSQL_URL, BRX_REDIS_URL); Docker Compose, if a Docker engine answers; processes of this machine.
BRX_STACK=environment|containers|native chooses, BRX_STACK_KAFKA_PORT and its like move ports. More in stack/README.md.
`;

interface Row {
  service: string;
  state: string;
  address: string;
  readySeconds: number | null;
}

interface Answer {
  source: string;
  services: Row[];
}

async function main(): Promise<number> {
  const { command, json, help } = readArguments(process.argv.slice(2));
  if (help) {
    process.stdout.write(HELP);
    return 0;
  }
  const settings = readSettings();
  const report = reporter();
  if (command === 'up') print(await up(settings, report), json);
  else if (command === 'status') return status(settings, json);
  else if (command === 'down') print(await down(settings, report), json);
  else print(await reset(settings, report), json);
  return 0;
}

async function up(settings: StackSettings, report: Report): Promise<Answer> {
  const source = await sourceFor(settings, report);
  const begun = performance.now();
  if (source === 'native') {
    const { urls, started } = await upNative(settings, report);
    writeEnvironmentFile(settings, urls, report);
    return { source, services: started.map(({ service, outcome, readyMs }) => ({ service: service.title, state: outcome, address: service.address, readySeconds: seconds(readyMs) })) };
  }
  const urls = source === 'containers' ? await upCompose(settings, report) : environmentUrls(settings);
  if (source === 'environment') await waitForAll(urls, 15_000);
  else writeEnvironmentFile(settings, urls, report);
  return { source, services: rowsOf(urls, 'running', seconds(performance.now() - begun)) };
}

async function status(settings: StackSettings, json: boolean): Promise<number> {
  const answer = await currentState(settings);
  print(answer, json);
  return answer.services.every(({ state }) => state === 'running') ? 0 : 1;
}

async function currentState(settings: StackSettings): Promise<Answer> {
  if (!nativeRuns(settings)) {
    const source = await sourceFor(settings);
    if (source === 'environment') return { source, services: await askAll(environmentUrls(settings)) };
    if (source === 'containers' && (await composeRuns(settings)).length > 0) return { source, services: await askAll(containerUrls(settings.ports)) };
  }
  const services = await statusNative(settings);
  return { source: 'native', services: services.map(({ title, state, address, pid }) => ({ service: title, state, address: pid === null ? address : `${address} (process ${pid})`, readySeconds: null })) };
}

async function down(settings: StackSettings, report: Report): Promise<Answer> {
  const outcomes = await downNative(settings, report);
  await sweepPrivate(settings);
  if ((await engineAnswers(settings.environment)) && (await composeRuns(settings)).length > 0) {
    await downCompose(settings, report, { deleteData: false });
    return { source: 'containers', services: rowsOf(containerUrls(settings.ports), 'stopped', null) };
  }
  return { source: 'native', services: outcomes.map(({ name, outcome }) => ({ service: name, state: outcome, address: '', readySeconds: null })) };
}

async function reset(settings: StackSettings, report: Report): Promise<Answer> {
  await resetNative(settings, report);
  await sweepPrivate(settings);
  // Also when no container runs: their volumes stay behind a `down`.
  if ((await engineAnswers(settings.environment)) && (await findCompose(settings)) !== undefined) await downCompose(settings, report, { deleteData: true });
  report('the data of the local stack is deleted; downloads are kept');
  return { source: 'native', services: [] };
}

async function askAll(urls: StackUrls): Promise<Row[]> {
  return Promise.all(probesOf(urls).map(async ({ name, address, probe }) => {
    const answers = await probe().then(() => true, () => false);
    return { service: name, state: answers ? 'running' : 'not answering', address, readySeconds: null };
  }));
}

/** `.env` for the command line, if there is none: lines that point at this stack. */
function writeEnvironmentFile(settings: StackSettings, urls: StackUrls, report: Report): void {
  const file = join(settings.root, '.env');
  const wanted = { BRX_KAFKA_BROKERS: urls.kafkaBrokers, BRX_SCHEMA_REGISTRY_URL: urls.registryUrl, BRX_DATABASE_URL: urls.databaseUrl, BRX_MYSQL_URL: urls.mysqlUrl, BRX_REDIS_URL: urls.redisUrl };
  if (!existsSync(file)) {
    writeFileSync(file, `# Written by \`npm run stack:up\`. See .env.example for all settings.\n${Object.entries(wanted).map(([name, value]) => `${name}=${value}\n`).join('')}`);
    report('wrote .env, which points brx-sync at this stack');
    return;
  }
  const present = parseEnv(readFileSync(file, 'utf8')) as Record<string, string | undefined>;
  const different = Object.entries(wanted).filter(([name, value]) => present[name] !== value);
  if (different.length > 0) report(`note: .env was left as it is; for this stack it would say\n${different.map(([name, value]) => `  ${name}=${value}`).join('\n')}`);
}

function rowsOf(urls: StackUrls, state: string, readySeconds: number | null): Row[] {
  return probesOf(urls).map(({ name, address }) => ({ service: name, state, address: withoutPassword(address), readySeconds }));
}

function print(answer: Answer, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
    return;
  }
  const cells = answer.services.map(({ service, state, address, readySeconds }) => [service, state, readySeconds === null ? '' : `${readySeconds.toFixed(1)} s`, address]);
  const widths = [0, 1, 2].map((column) => Math.max(0, ...cells.map((row) => row[column]?.length ?? 0)));
  process.stdout.write(cells.map((row) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()}\n`).join(''));
}

/** Progress on standard error; on a terminal the lines of a running download replace each other. */
function reporter(): Report {
  let open = false;
  return (line) => {
    const passing = process.stderr.isTTY && line.startsWith('downloading: ');
    process.stderr.write(`${open ? '\r\u001B[K' : ''}${line}${passing ? '' : '\n'}`);
    open = passing;
  };
}

function seconds(milliseconds: number): number {
  return Math.round(milliseconds / 100) / 10;
}

function readArguments(args: string[]): { command: string; json: boolean; help: boolean } {
  try {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } } });
    const command = positionals[0] ?? '';
    const known = ['up', 'down', 'status', 'reset'].includes(command) && positionals.length === 1;
    if (known || values.help) return { command, json: values.json, help: values.help };
    throw new Error(command === '' ? 'no command given' : `unknown command "${positionals.join(' ')}"`);
  } catch (error) {
    throw new BrxError('BRX_USAGE', (error as Error).message, { remedy: 'one of up, down, status, reset; --help tells more', cause: error });
  }
}

// A reader that has seen enough (`| head -1`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});
try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof BrxError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n${error.remedy === undefined ? '' : `What to do: ${error.remedy}\n`}`);
  process.exitCode = error.exitCode;
}
