import { writeFileSync } from 'node:fs';
import pg from 'pg';
import { brxSync, library, plainPoller } from './contestants.ts';

/**
 * Open loop: a row is due every 1/rate seconds, whatever becomes of those before it. Each is a transaction of its own, in one round
 * trip; what waits for a free connection waits. Writes a line a row: what it says, when it was due, when its COMMIT was answered.
 */
const [name = '', rateText = '', secondsText = '', topic = '', usersText = '', file = ''] = process.argv.slice(2);
const contestant = [brxSync, plainPoller, library].find((one) => one.name === name);
if (contestant === undefined) throw new Error(`no contestant ${name}`);
const users = usersText.split(',');
const rate = Number(rateText);
const rows = Math.round(rate * Number(secondsText));

const idle = await Promise.all(
  Array.from({ length: 8 }, async () => {
    const client = new pg.Client({ connectionString: process.env['BRX_DATABASE_URL'] });
    await client.connect();
    return client;
  }),
);
const clock = (): number => performance.timeOrigin + performance.now();
const started = clock();
const lines: string[] = [];
const queue: number[] = [];
let [due, done] = [0, 0];
let finished: () => void = () => undefined;
const all = new Promise<void>((resolve) => (finished = resolve));

function pump(): void {
  for (; due < rows && started + (due * 1_000) / rate <= clock(); due += 1) queue.push(due);
  while (queue.length > 0 && idle.length > 0) void write(idle.pop() as pg.Client, queue.shift() as number);
}

async function write(client: pg.Client, index: number): Promise<void> {
  const user = Math.floor(Math.random() * users.length);
  const answers = (await client.query((contestant as typeof brxSync).write(user, users[user] ?? '', topic))) as unknown as pg.QueryResult<{ written: string }>[];
  lines.push(`${answers.at(-2)?.rows[0]?.written} ${(started + (index * 1_000) / rate).toFixed(3)} ${clock().toFixed(3)}`);
  idle.push(client);
  done += 1;
  if (done === rows) finished();
  pump();
}

const timer = setInterval(pump, 1);
await all;
clearInterval(timer);
await Promise.all(idle.map((client) => client.end()));
writeFileSync(file, lines.join('\n'));
process.stdout.write('done\n');
