import type { Command } from 'commander';
import { BrxError } from '../errors.ts';
import { systemClock } from '../platform/clock.ts';
import { integerOption, uuidArgument } from './arguments.ts';
import { withPostgres } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { operator } from './operator.ts';
import { counted, formatCount, formatSeconds, formatTime, printable } from './output.ts';

const DEFAULT_LIMIT = 50;
const POLL_WAIT_SECONDS = 120;
const LOOK_MS = 250;

interface ListOptions {
  unmapped?: true;
  unresolved?: true;
  limit: number;
}

interface ResolveOptions {
  relisted?: true;
  kept?: true;
  reason: string;
}

/** `brx-sync orders list | show | poll | resolve`. */
export function registerOrders(program: Command, context: CliContext): void {
  const orders = program
    .command('orders')
    .description('sales on CardTrader: what each order did to stock here, and what nobody could decide')
    .addHelpText(
      'after',
      examples([
        ['brx-sync orders list 0197a3c2-...', 'the newest orders of a seller, and when they are looked at next'],
        ['brx-sync orders list 0197a3c2-... --unmapped', 'sold there, and tied to nothing here'],
        ['brx-sync orders show 0197a3c2-... 31000017', 'one order, line by line, in words'],
        ['brx-sync orders poll 0197a3c2-...', 'have the orders looked at now'],
        ['brx-sync orders resolve 0197a3c2-... 31000017 31000018 --relisted --reason "seen on the site"', 'say that a cancelled copy is on sale again'],
      ]),
    );
  orders
    .command('list')
    .description('list a seller’s orders on CardTrader, newest first')
    .argument('<user>', 'the seller’s id', uuidArgument)
    .option('--unmapped', 'only those with lines that are tied to nothing here')
    .option('--unresolved', 'only those with cancelled copies of which it is not known whether they are on sale again')
    .option('--limit <n>', 'at most so many', integerOption(1, 100_000), DEFAULT_LIMIT)
    .action((user: string, options: ListOptions) => list(context, user, options));
  orders
    .command('show')
    .description('one order: its state, and what each line did to stock')
    .argument('<user>', 'the seller’s id', uuidArgument)
    .argument('<order>', 'CardTrader’s id of the order', integerOption(1, Number.MAX_SAFE_INTEGER))
    .action((user: string, order: number) => show(context, user, order));
  orders
    .command('poll')
    .description('have a seller’s orders looked at now by a running dispatcher, and wait for it')
    .argument('<user>', 'the seller’s id', uuidArgument)
    .option('--wait <seconds>', 'longest wait; 0 does not wait', integerOption(0, 86_400), POLL_WAIT_SECONDS)
    .action((user: string, options: { wait: number }) => poll(context, user, options.wait));
  orders
    .command('resolve')
    .description('say whether the cancelled copies of a line are on sale on CardTrader again; stock follows')
    .argument('<user>', 'the seller’s id', uuidArgument)
    .argument('<order>', 'CardTrader’s id of the order', integerOption(1, Number.MAX_SAFE_INTEGER))
    .argument('<line>', 'CardTrader’s id of the line', integerOption(1, Number.MAX_SAFE_INTEGER))
    .option('--relisted', 'they are: put back into stock here too')
    .option('--kept', 'they are not: they stay out of stock')
    .requiredOption('--reason <text>', 'why, for the record')
    .action((user: string, order: number, line: number, options: ResolveOptions) => resolve(context, user, order, line, options));
}

async function list(context: CliContext, userId: string, options: ListOptions): Promise<void> {
  const { out } = context;
  const { selectOrders, selectPoll } = await import('../orders/index.ts');
  const { unknownSeller } = await import('../marketplace/index.ts');
  const { poll: state, rows } = await withPostgres(context, async ({ prisma }) => ({
    poll: await selectPoll(prisma, userId),
    rows: await selectOrders(prisma, userId, { unmapped: options.unmapped === true, unresolved: options.unresolved === true, limit: options.limit }),
  }));
  if (state === undefined) throw unknownSeller(userId);
  out.json({ poll: state, orders: rows });
  const now = systemClock.now();
  const due = state.nextPollAt.getTime() <= now ? 'due now' : `next in ${formatSeconds((state.nextPollAt.getTime() - now) / 1_000)}`;
  out.line(`looked at ${state.polledAt === null ? 'never' : `${formatSeconds((now - state.polledAt.getTime()) / 1_000)} ago`}, ${due}${state.waiting > 0 ? `; ${counted(state.waiting, 'webhook waits', 'webhooks wait')}` : ''}`);
  if (state.problem !== null) out.line(out.paint('yellow', `the last look came to nothing (${formatCount(state.failures)} in a row): ${printable(state.problem)}`));
  if (rows.length === 0) return out.line('there is no such order');
  out.table(
    rows.map((row) => ({ order: row.orderId, code: printable(row.code ?? ''), state: printable(row.state), zero: row.viaZero === true ? 'CT Zero' : '', lines: row.lines, copies: row.copies, out: row.out, unmapped: row.unmapped === 0 ? '' : row.unmapped, unresolved: row.unresolved === 0 ? '' : row.unresolved })),
    [{ key: 'order' }, { key: 'code' }, { key: 'state' }, { key: 'zero', title: 'via' }, { key: 'lines', align: 'right' }, { key: 'copies', align: 'right' }, { key: 'out', title: 'out of stock', align: 'right' }, { key: 'unmapped', align: 'right' }, { key: 'unresolved', align: 'right' }],
  );
  if (rows.length === options.limit) out.line(`... and perhaps more: --limit ${options.limit * 10}`);
}

async function show(context: CliContext, userId: string, orderId: number): Promise<void> {
  const { out } = context;
  const { lineWords, orderAdvice, readOrders } = await import('../orders/index.ts');
  const order = await withPostgres(context, async ({ prisma }) => (await readOrders(prisma, userId, [orderId])).get(orderId));
  if (order === undefined) throw noOrder(userId, orderId);
  out.json({ ...order, lines: order.lines.map((line) => ({ ...line, words: lineWords(line) })) });
  out.line(out.paint('bold', `order ${orderId}${order.code === null ? '' : ` (${printable(order.code)})`}: ${printable(order.state)}${order.viaZero === true ? ', CT Zero' : ''}${order.presale === true ? ', presale' : ''}`));
  out.line(`seen so ${formatTime(new Date(order.seenAt))} UTC${order.open ? '' : '; nothing more is to come of it'}`);
  for (const line of order.lines) {
    out.line(`  line ${line.lineId}  ${printable(line.name ?? '(no name)')}, product ${line.productId ?? 'unknown'}, item ${line.itemId ?? 'none'}`);
    out.line(`    ${lineWords(line)}`);
  }
  for (const [index, line] of orderAdvice(userId, order).entries()) out.line(index === 0 ? `\nwhat can be done\n  ${line}` : `  ${line}`);
}

async function poll(context: CliContext, userId: string, waitSeconds: number): Promise<void> {
  const { out } = context;
  const { pollNow, selectPoll } = await import('../orders/index.ts');
  const { unknownSeller } = await import('../marketplace/index.ts');
  const { inTransaction } = await import('../platform/postgres/index.ts');
  const looked = await withPostgres(context, async (postgres) => {
    const askedAt = await inTransaction(postgres, (tx) => pollNow(tx, userId));
    if (askedAt === null) throw unknownSeller(userId);
    const until = systemClock.monotonic() + waitSeconds * 1_000;
    for (;;) {
      const now = await selectPoll(postgres.prisma, userId);
      if (now === undefined) throw unknownSeller(userId);
      if (now.polledAt !== null && now.polledAt >= askedAt) return { ...now, done: true };
      if (now.failures > 0 || systemClock.monotonic() >= until) return { ...now, done: false };
      await systemClock.sleep(LOOK_MS, context.signal);
    }
  });
  out.json(looked);
  if (looked.done) return out.line('the orders have been looked at');
  if (waitSeconds === 0) return out.line('the orders are looked at as soon as a dispatcher is free');
  // A problem without a failure is one from before.
  if (looked.failures > 0) throw new BrxError('BRX_MARKETPLACE_UNAVAILABLE', `the look at the orders came to nothing: ${printable(looked.problem ?? '')}`, { remedy: 'it is tried again by itself; `brx-sync users check` tells whether the token works' });
  throw new BrxError('BRX_REFUSED', `nobody has looked at the orders within ${waitSeconds} s`, { remedy: 'a process with the role dispatcher must run, and the seller must be active: `brx-sync users list`' });
}

async function resolve(context: CliContext, userId: string, orderId: number, lineId: number, { relisted, kept, reason }: ResolveOptions): Promise<void> {
  const { out } = context;
  if ((relisted === true) === (kept === true)) throw new BrxError('BRX_USAGE', 'resolve needs either --relisted or --kept', { remedy: 'look on CardTrader whether the copies are on sale again' });
  const config = context.config();
  const [{ lineWords, ordersContext, resolveLine }, { createRegistry }, { recordOperatorAction }] = [await import('../orders/index.ts'), await import('../platform/kafka/index.ts'), await import('../platform/postgres/index.ts')];
  const { changed, events } = await withPostgres(context, (postgres) =>
    resolveLine(
      { postgres, clock: systemClock, onRetry: () => undefined, ...ordersContext(createRegistry(config.registry), config.kafka.topicPrefix) },
      {
        userId,
        orderId,
        lineId,
        answer: relisted === true ? 'all' : 'none',
        record: (tx) => recordOperatorAction(tx, { who: operator(), action: 'orders.resolve', target: `${userId}/${orderId}/${lineId}`, reason, detail: { relisted: relisted === true } }),
      },
    ),
  );
  const line = changed.flatMap((order) => order.lines).find((each) => each.lineId === lineId);
  if (line === undefined) throw new BrxError('BRX_REFUSED', `nothing is open about line ${lineId} of order ${orderId} of ${userId}`, { remedy: '`brx-sync orders list --unresolved` shows what is' });
  out.json({ line, events: events.map((event) => ({ eventId: event.event_id, itemId: event.item_id, quantity: event.quantity })) });
  out.line(lineWords(line));
}

const noOrder = (userId: string, orderId: number): BrxError => new BrxError('BRX_REFUSED', `no order ${orderId} of ${userId} has been seen`, { remedy: '`brx-sync orders poll` has the orders looked at now' });
