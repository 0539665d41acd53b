import { Option, type Command } from 'commander';
import { readFile } from 'node:fs/promises';
import { BrxError, messageOf } from '../errors.ts';
import { systemClock } from '../platform/clock.ts';
import { createRandom } from '../platform/random.ts';
import type * as SimulatorFeature from '../simulator/index.ts';
import { integerOption } from './arguments.ts';
import { examples, type CliContext } from './context.ts';
import { counted, formatCount } from './output.ts';

interface Options {
  port: number;
  seed: number;
  stock?: string;
  sellers?: number;
  products?: number;
  faults?: string;
  rateWindow?: 'both' | 'fixed' | 'sliding' | 'none';
  latencyMs: number;
  guess: string[];
  list?: true;
}

const SELLERS = 3;
const PRODUCTS = 50;
const LINE_EVERY_MS = 2_000;
const SHOWN_SELLERS = 3;

/** `brx-sync simulator`. */
export function registerSimulator(program: Command, context: CliContext): void {
  program
    .command('simulator')
    .description('stand in for CardTrader on this machine: its API with its limits, made-up sellers and stock, and faults on demand')
    .option('--port <number>', 'port on 127.0.0.1; 0 picks a free one', integerOption(0, 65_535), 8_090)
    .option('--seed <n>', 'another seed: other stock, tokens and faults', integerOption(0, Number.MAX_SAFE_INTEGER), 1)
    .option('--stock <file>', 'sellers and their products from a JSON file, instead of made-up ones')
    .option('--sellers <n>', `how many to make up (default ${SELLERS})`, integerOption(1, 100_000))
    .option('--products <n>', `how many each lists (default ${PRODUCTS})`, integerOption(0, 100_000))
    .option('--faults <plan>', 'chance of each kind on each request it can happen to: response_lost=0.02,throttled=0.01 or all=0.01')
    .addOption(new Option('--rate-window <window>', 'which window judges the rate limits (both: 429 if either would)').choices(['both', 'fixed', 'sliding', 'none']))
    .option('--latency-ms <n>', 'time an answer takes', integerOption(0, 600_000), 0)
    .option('--guess <name=value>', 'turn one of the switches for what nobody knows about CardTrader; may be repeated', (text: string, before: string[]) => [...before, text], [])
    .option('--list', 'print the kinds of faults and the switches, and end')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync simulator', 'three sellers of 50 products each on port 8090, until Ctrl-C'],
        ['brx-sync simulator --sellers 1000 --products 200 --faults all=0.005', 'each kind of fault on every 200th request it can happen to'],
        ['brx-sync simulator --guess soldOut=keep --guess mergeOnCreate=never', 'another opinion about CardTrader'],
        ['brx-sync simulator --list', 'what --faults and --guess can say'],
        ['brx-sync simulator --json', 'address, sellers and tokens for a script'],
      ])}\n\nTokens, stock, sales, faults and the ledger of effects are at /_simulator on the same port.`,
    )
    .action((options: Options) => run(context, options));
}

async function run(context: CliContext, options: Options): Promise<void> {
  const feature = await import('../simulator/index.ts');
  if (options.list === true) return list(context, feature);
  const { stock, sellers = SELLERS, products = PRODUCTS } = options;
  if (stock !== undefined && (options.sellers ?? options.products) !== undefined) throw new BrxError('BRX_USAGE', '--sellers and --products make stock up, and --stock brings it: it is one or the other', { remedy: 'brx-sync simulator --stock FILE' });
  const failed = new AbortController();
  const simulator = await feature.startSimulator({
    port: options.port,
    seed: options.seed,
    stock: stock === undefined ? { sellers, products } : await stockOf(feature, stock, options.seed),
    faults: options.faults === undefined ? {} : planOf(feature, options.faults),
    guesses: guessesOf(feature, options),
    latencyMs: options.latencyMs,
    onFailure: () => failed.abort(),
  });
  try {
    show(context, simulator);
    const until = AbortSignal.any([context.signal, failed.signal]);
    for (let before = 0; await passed(LINE_EVERY_MS, until); ) before = tell(context, simulator, before);
  } finally {
    await simulator.close(); // and throws what failed
  }
}

/** False when it was interrupted: the usual end. */
function passed(ms: number, signal: AbortSignal): Promise<boolean> {
  return systemClock.sleep(ms, signal).then(
    () => true,
    () => false,
  );
}

function show({ out }: CliContext, { apiUrl, url, control }: SimulatorFeature.Simulator): void {
  const sellers = control.sellers().map((seller) => ({ id: seller.id, name: seller.name, token: seller.token, products: control.products(seller.id).length }));
  out.json({ apiUrl, control: `${url}/_simulator`, sellers });
  out.line(`${out.paint('bold', apiUrl)}   stands in for https://api.cardtrader.com/api/v2`);
  out.line(`${counted(sellers.length, 'seller')}, ${counted(sellers.reduce((sum, seller) => sum + seller.products, 0), 'product')}; control and tokens: ${url}/_simulator, ${url}/_simulator/sellers`);
  out.line();
  for (const seller of sellers.slice(0, SHOWN_SELLERS)) out.line(`${seller.name} (user ${seller.id}, ${counted(seller.products, 'product')})\n  ${seller.token ?? ''}`);
  if (sellers.length > SHOWN_SELLERS) out.line(`and ${formatCount(sellers.length - SHOWN_SELLERS)} more`);
}

/** One line if something happened since; answers the number of requests so far. */
function tell({ out }: CliContext, { control }: SimulatorFeature.Simulator, before: number): number {
  const { requests, throttled, throttledByFault } = control.requests();
  if (requests === before) return before;
  const faults = Object.values(control.faults()).reduce((sum, count) => sum + count, 0);
  const repeated = control.repeated().length;
  out.progress(
    [
      `${counted(requests, 'request')} (${formatCount(Math.round((requests - before) / (LINE_EVERY_MS / 1_000)))} a second)`,
      `${formatCount(throttled)} refused with 429${throttledByFault > 0 ? ` and ${formatCount(throttledByFault)} without reason` : ''}`,
      counted(faults, 'fault'),
      ...(repeated > 0 ? [`${counted(repeated, 'operation')} took effect more than once`] : []),
    ].join(', '),
  );
  return requests;
}

function list({ out }: CliContext, { FAULTS, GUESSES }: typeof SimulatorFeature): void {
  const faults = Object.entries(FAULTS).map(([name, { on, meaning }]) => ({ fault: name, on, meaning }));
  const guesses = Object.entries(GUESSES).map(([name, guess]) => ({ guess: name, default: guess.default, choices: 'choices' in guess ? guess.choices.join(' ') : `0 to ${guess.most}`, meaning: guess.meaning }));
  out.json({ faults, guesses });
  out.table(faults);
  out.line();
  out.table(guesses, [{ key: 'guess' }, { key: 'default', align: 'left' }, { key: 'choices' }, { key: 'meaning' }]);
}

async function stockOf({ readStock }: typeof SimulatorFeature, file: string, seed: number): Promise<SimulatorFeature.Stock> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new BrxError('BRX_BAD_FILE', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  });
  return readStock(text, createRandom(seed));
}

function planOf({ FAULT_KINDS, isFaultKind, planForAll }: typeof SimulatorFeature, text: string): SimulatorFeature.FaultPlan {
  let plan: SimulatorFeature.FaultPlan = {};
  for (const [kind, value] of pairs(text.split(','), '--faults')) {
    const chance = Number(value);
    if (value === '' || !(chance >= 0 && chance <= 1)) throw new BrxError('BRX_USAGE', `the chance of ${kind} cannot be ${value}`, { remedy: 'it is a number from 0 to 1' });
    if (kind !== 'all' && !isFaultKind(kind)) throw new BrxError('BRX_USAGE', `there is no fault ${kind}`, { remedy: `faults are all, ${FAULT_KINDS.join(', ')}` });
    plan = { ...plan, ...(kind === 'all' ? planForAll(chance) : { [kind]: chance }) };
  }
  return plan;
}

function guessesOf({ readGuesses }: typeof SimulatorFeature, { guess, rateWindow }: Options): SimulatorFeature.Guesses {
  return readGuesses({ ...Object.fromEntries(pairs(guess, '--guess')), ...(rateWindow !== undefined && { rateWindow }) });
}

function pairs(texts: readonly string[], option: string): [name: string, value: string][] {
  return texts.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new BrxError('BRX_USAGE', `${option} cannot be ${text}`, { remedy: 'it is name=value; brx-sync help simulator has examples' });
    return [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  });
}
