import { parseArgs } from 'node:util';
import { BrxError } from '../src/errors.ts';

export interface DemoOptions {
  events: number;
  users: number;
  /** Same seed, same sellers, items and changes. */
  seed: number;
  /** The run's database and topics stay until someone removes them; else the next demo does. */
  keep: boolean;
}

const DEFAULTS: DemoOptions = { events: 200_000, users: 1_000, seed: 1, keep: false };

export const HELP = `The main job, live, on real Kafka, schema registry and PostgreSQL: two workers, one killed
in the middle, a CardTrader stand-in that loses answers, everything verified.

  npm run demo
  npm run demo -- --events 1000000 --users 5000

Options
  --events <n>   how many, 1,000 to 10,000,000 (${DEFAULTS.events.toLocaleString('en-US')})
  --users <n>    sellers, 1 to 1,000,000 (${DEFAULTS.users.toLocaleString('en-US')})
  --seed <n>     another workload (${DEFAULTS.seed})
  --keep         keep this run's database and topics for good; without it the next demo removes them
  --help         this text

Each run has a database, topics and a consumer group of its own, and touches nothing else. Exit code 0 if all promises held, 1 if
PostgreSQL is not what the topic says it must be.
`;

/** Throws BRX_USAGE that says which option, and what it takes. */
export function readOptions(args: readonly string[]): DemoOptions | 'help' {
  const { help, keep, events, users, seed } = parse(args);
  if (help === true) return 'help';
  return {
    events: integer('--events', events, 1_000, 10_000_000) ?? DEFAULTS.events,
    users: integer('--users', users, 1, 1_000_000) ?? DEFAULTS.users,
    seed: integer('--seed', seed, 0, Number.MAX_SAFE_INTEGER) ?? DEFAULTS.seed,
    keep: keep ?? DEFAULTS.keep,
  };
}

function parse(args: readonly string[]) {
  try {
    const options = { events: { type: 'string' }, users: { type: 'string' }, seed: { type: 'string' }, keep: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new BrxError('BRX_USAGE', (error as Error).message, { cause: error, remedy: 'npm run demo -- --help lists the options' });
  }
}

function integer(name: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text.replaceAll(/[_,]/g, ''));
  if (!Number.isInteger(value) || text.trim() === '' || value < min || value > max) {
    throw new BrxError('BRX_USAGE', `${name} ${text}: must be a whole number from ${min.toLocaleString('en-US')} to ${max.toLocaleString('en-US')}`, { remedy: 'npm run demo -- --help lists the options' });
  }
  return value;
}
