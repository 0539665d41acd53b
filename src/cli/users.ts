import { type Command, Option } from 'commander';
import type { Seller, SellerStatus } from '../marketplace/index.ts';
import { BrxError } from '../errors.ts';
import { systemClock } from '../platform/clock.ts';
import { integerOption } from './arguments.ts';
import { withMarketplace, withPostgres, withReader } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { operator } from './operator.ts';
import { counted, formatCount, formatSeconds, formatTime, printable } from './output.ts';
import { readSellerToken, sellerArgument, tokenOption } from './seller-token.ts';

const STATUSES = ['active', 'paused', 'token_rejected'] as const satisfies readonly SellerStatus[];

interface AddOptions {
  tokenFile?: string;
  otherAccount?: true;
  reason: string;
}

interface SetOptions {
  listingSync?: 'on' | 'off';
  buffer?: number;
  push?: true;
  reason: string;
}

/** `brx-sync users add | check | pause | resume | set | list | show | rotate-keys`. */
export function registerUsers(program: Command, context: CliContext): void {
  const users = program
    .command('users')
    .description('sellers’ CardTrader accounts: their tokens, and whether their sales are carried out there')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync users add 0197a3c2-...', 'take a seller’s token on: asks for it, has CardTrader check it, stores it sealed'],
        ['brx-sync users add 0197a3c2-... --token-file token.txt', 'the same from a file; or from a pipe, or BRX_SELLER_TOKEN'],
        ['brx-sync users list', 'who has an account, how it stands, what waits'],
        ['brx-sync users check 0197a3c2-...', 'does the stored token still work? 0: yes, 1: no'],
        ['brx-sync users set 0197a3c2-... --listing-sync on --buffer 1', 'what is here goes to CardTrader, but for one copy of each item'],
        ['brx-sync users pause 0197a3c2-... --reason "seller is on holiday"', 'call CardTrader no more for this seller'],
      ])}\n\nA token is never an argument. What is done here is written down with who and why; \`users show\` tells it.`,
    );
  const reasoned = (command: Command, otherwise: string): Command => command.option('--reason <text>', 'why, for the record', otherwise);
  reasoned(
    users
      .command('add')
      .description('take a seller’s token on, or a new one in place of an old one; nothing is stored unless CardTrader accepts it')
      .argument('<user>', 'the seller’s id', sellerArgument)
      .option('--token-file <file>', 'a file with the token in it; otherwise BRX_SELLER_TOKEN, the prompt of a terminal, or a pipe')
      .addOption(tokenOption())
      .option('--other-account', 'the token may belong to another CardTrader seller than before'),
    'token given',
  )
    .addHelpText('after', '\nThe token is on CardTrader’s site under Settings, Full API app. Line breaks, quotes and “Bearer” around it do no harm.')
    .action((user: string, options: AddOptions) => add(context, user, options));
  reasoned(users.command('check').description('ask CardTrader whether the stored token works; one that works again lets operations go on').argument('<user>', 'the seller’s id', sellerArgument), 'check')
    .addHelpText('after', '\nExit code 0 if it works, 1 if CardTrader rejects it, 69 if CardTrader does not answer.')
    .action((user: string, options: { reason: string }) => check(context, user, options.reason));
  users
    .command('pause')
    .description('call CardTrader no more for a seller: operations wait, and sales end at their deadlines')
    .argument('<user>', 'the seller’s id', sellerArgument)
    .requiredOption('--reason <text>', 'why, for the record')
    .action((user: string, options: { reason: string }) => move(context, user, 'pause', options.reason));
  reasoned(users.command('resume').description('let the operations of a paused seller go on').argument('<user>', 'the seller’s id', sellerArgument), 'resume').action((user: string, options: { reason: string }) => move(context, user, 'resume', options.reason));
  reasoned(
    users
      .command('set')
      .description('whether changes of stock, price and properties go to CardTrader, and how many copies of each item are kept from it')
      .argument('<user>', 'the seller’s id', sellerArgument)
      .addOption(new Option('--listing-sync <on|off>', 'off for an account until somebody turns it on').choices(['on', 'off']))
      .option('--buffer <n>', 'copies of each item that CardTrader does not show; sales here may still take them', integerOption(0, 1_000_000))
      .option('--push', 'put up also what CardTrader lacks for reasons nobody here knows; without it that may be a sale there, and stays as it is'),
    'settings',
  ).action((user: string, options: SetOptions) => settings(context, user, options));
  users
    .command('list')
    .description('list sellers with a CardTrader account, in the order in which they were added')
    .addOption(new Option('--status <status>', 'only these').choices(STATUSES))
    .action((options: { status?: SellerStatus }) => list(context, options.status));
  users
    .command('show')
    .description('a seller’s account: status, token, listings, what waits, and what operators did')
    .argument('<user>', 'the seller’s id', sellerArgument)
    .action((user: string) => show(context, user));
  reasoned(users.command('rotate-keys').description('seal every token and webhook secret anew with the first of BRX_SECRET_KEYS; the others can be taken away afterwards'), 'rotation of keys')
    .addHelpText('after', '\nExit code 0 if every token is sealed with the first key now, 1 if some do not open with the keys at hand.')
    .action((options: { reason: string }) => rotate(context, options.reason));
}

async function add(context: CliContext, userId: string, options: AddOptions): Promise<void> {
  const { out } = context;
  const { createKeyring } = await import('../platform/secrets/index.ts');
  createKeyring(context.config().secrets.keys).seal('', 'before anybody is asked for a token'); // without keys nothing could be stored
  const token = await readSellerToken(context, userId, options.tokenFile);
  const { seller, app, warnings, replaced } = await withMarketplace(context, async (deps, { addSeller, selectSeller }) => {
    out.progress('asks CardTrader whose token it is');
    const before = await selectSeller(deps.postgres.prisma, userId);
    return { ...(await addSeller(deps, userId, token, { who: operator(), reason: options.reason, otherAccount: options.otherAccount === true })), replaced: before?.tokenHint ?? null };
  });
  out.json({ ...seller, app: { id: app.id, name: app.name }, replacedToken: replaced, warnings });
  out.line(`${userId} is ${accountOf(seller)}, token ${seller.tokenHint}${replaced === null ? '' : ` in place of ${replaced}`}: ${statusWords(context, seller)}`);
  for (const warning of warnings) out.note(`warning: ${warning}`);
  if (seller.listings === 0) out.note(`nothing is known to be listed yet: \`brx-sync listings link ${userId}\` reads it from CardTrader`);
  else if (options.otherAccount === true) out.note(`${counted(seller.listings, 'listing is', 'listings are')} of before: \`brx-sync listings link ${userId} --force\` reads ${seller.listings === 1 ? 'it' : 'them'} anew`);
}

async function check(context: CliContext, userId: string, reason: string): Promise<void> {
  const { out } = context;
  const { seller, works, said } = await withMarketplace(context, (deps, { checkSeller }) => checkSeller(deps, userId, { who: operator(), reason }));
  out.json({ ...seller, works, said });
  out.line(`${works ? out.paint('green', 'the token works') : out.paint('red', 'the token does not work')}: ${said}`);
  out.line(`${userId}, ${accountOf(seller)}, token ${seller.tokenHint}: ${statusWords(context, seller)}`);
  if (!works) out.note(`\`brx-sync users add ${userId}\` takes a new token on`);
  if (!works) context.setExitCode(1);
}

async function move(context: CliContext, userId: string, verb: 'pause' | 'resume', reason: string): Promise<void> {
  const { out } = context;
  const seller = await withPostgres(context, async (postgres) => {
    const { pauseSeller, resumeSeller } = await import('../marketplace/index.ts');
    return (verb === 'pause' ? pauseSeller : resumeSeller)(postgres, userId, { who: operator(), reason });
  });
  out.json(seller);
  out.line(`${userId}: ${statusWords(context, seller)}`);
  if (seller.outstanding > 0) out.line(`${verb === 'pause' ? `${counted(seller.outstanding, 'operation waits', 'operations wait')}; what was sent already may still take effect` : counted(seller.outstanding, 'operation goes on', 'operations go on')}`);
}

async function settings(context: CliContext, userId: string, { listingSync, buffer, push, reason }: SetOptions): Promise<void> {
  const { out } = context;
  if (listingSync === undefined && buffer === undefined && push === undefined) throw new BrxError('BRX_USAGE', 'there is nothing to set', { remedy: 'say --listing-sync on or off, --buffer <n> or --push' });
  const { seller, asked } = await withPostgres(context, async (postgres) => {
    const { setListingSync } = await import('../marketplace/index.ts');
    return setListingSync(postgres, userId, { ...(listingSync !== undefined && { listingSync: listingSync === 'on' }), ...(buffer !== undefined && { buffer }), ...(push !== undefined && { push }) }, { who: operator(), reason });
  });
  out.json({ ...seller, asked });
  out.line(`${userId}: ${syncWords(seller)}`);
  if (asked > 0) out.line(`${counted(asked, 'item is', 'items are')} looked at`);
}

async function list(context: CliContext, status: SellerStatus | undefined): Promise<void> {
  const { out } = context;
  const sellers = await withReader(context, async ({ prisma }) => (await import('../marketplace/index.ts')).selectSellers(prisma));
  const shown = sellers.filter((seller) => status === undefined || seller.status === status);
  out.json(shown);
  if (shown.length === 0) return out.line(sellers.length === 0 ? 'no seller has a CardTrader account here; `brx-sync users add` takes one on' : `no seller is ${status ?? 'there'}`);
  const now = systemClock.now();
  out.table(
    shown.map((seller) => ({
      user: seller.userId,
      status: seller.status,
      account: seller.appName === null ? null : printable(seller.appName),
      seller: seller.sellerId,
      token: seller.tokenHint,
      checked: seller.checkedAt === null ? 'never' : ago(now, seller.checkedAt),
      listings: seller.listings,
      open: seller.outstanding,
      mismatches: seller.mismatches,
      note: seller.statusReason ?? (seller.openUntil === null ? '' : `CardTrader does not answer; next try in ${formatSeconds(Math.max(0, seller.openUntil.getTime() - now) / 1_000)}`),
    })),
    [{ key: 'user' }, { key: 'status' }, { key: 'account' }, { key: 'seller', align: 'right' }, { key: 'token' }, { key: 'checked', title: 'last check' }, { key: 'listings' }, { key: 'open', title: 'open operations' }, { key: 'mismatches' }, { key: 'note' }],
  );
}

async function show(context: CliContext, userId: string): Promise<void> {
  const { out } = context;
  const { seller, actions, sealedWithFirst } = await withReader(context, async ({ prisma }) => {
    const [{ mustBe, selectSeller }, { selectActions }] = [await import('../marketplace/index.ts'), await import('../platform/postgres/index.ts')];
    const found = mustBe(await selectSeller(prisma, userId), userId);
    return { seller: found, actions: await selectActions(prisma, userId), sealedWithFirst: context.config().secrets.keys[0]?.id === found.tokenKeyId };
  });
  out.json({ ...seller, sealedWithFirstKey: sealedWithFirst, actions });
  const now = systemClock.now();
  out.line(out.paint('bold', `user ${userId}: ${seller.status}`));
  out.line(statusWords(context, seller));
  out.line(`status      since ${formatTime(seller.statusAt)}${seller.statusReason === null ? '' : ` (${seller.statusReason})`}`);
  out.line(`account     ${accountOf(seller)}, added ${formatTime(seller.addedAt)}`);
  out.line(`token       ${seller.tokenHint}, ${seller.checkedAt === null ? 'never seen to work' : `last seen to work ${ago(now, seller.checkedAt)}`}`);
  out.line(`key         ${seller.tokenKeyId}${sealedWithFirst ? '' : ', not the first of BRX_SECRET_KEYS: brx-sync users rotate-keys'}`);
  out.line(`sync        ${syncWords(seller)}`);
  out.line(`listings    ${formatCount(seller.listings)}${seller.mismatches === 0 ? '' : `, ${formatCount(seller.mismatches)} with a mismatch: brx-sync listings list ${userId} --mismatched`}`);
  out.line(`operations  ${formatCount(seller.outstanding)} not settled${seller.leased ? ', being worked on' : ''}`);
  if (seller.openUntil !== null) out.line(out.paint('yellow', `CardTrader gave no usable answer several times in a row: it is tried again at ${formatTime(seller.openUntil)}`));
  if (actions.length === 0) return;
  out.line();
  out.line(out.paint('bold', 'what operators did (UTC)'));
  for (const { at, who, action, reason } of actions) out.line(`${formatTime(at)}  ${who}: ${action} (“${reason}”)`);
}

async function rotate(context: CliContext, reason: string): Promise<void> {
  const { out } = context;
  const { sealed, current, failed } = await withPostgres(context, async (postgres) => {
    const [{ rotateTokens }, { createKeyring }] = [await import('../marketplace/index.ts'), await import('../platform/secrets/index.ts')];
    const onProgress = (done: number, of: number): void => {
      context.signal.throwIfAborted();
      out.progress(`${formatCount(done)} of ${formatCount(of)}`);
    };
    return rotateTokens({ postgres, keyring: createKeyring(context.config().secrets.keys) }, { who: operator(), reason, onProgress });
  });
  const key = context.config().secrets.keys[0]?.id;
  out.json({ key, sealed, current, failed });
  out.line(`${counted(sealed, 'secret')} sealed anew with the key ${key ?? ''}, ${formatCount(current)} were already`);
  for (const { userId, problem } of failed) out.line(`${userId}: ${problem}`);
  if (failed.length === 0) out.line('the other keys of BRX_SECRET_KEYS can be taken away');
  else {
    out.note('put the keys these were sealed with back behind the first, and run this again; if a key is lost, `brx-sync users add` takes the token on anew');
    context.setExitCode(1);
  }
}

const STATUS_WORDS: Record<SellerStatus, string> = {
  active: 'active: operations are carried out',
  paused: 'paused: operations wait, and sales end at their deadlines; `brx-sync users resume` lets them go on',
  token_rejected: 'token rejected: CardTrader answered 401, operations wait for a new token (`brx-sync users add`), and sales end at their deadlines',
};

const syncWords = ({ listingSync, buffer }: Seller): string => `listing sync is ${listingSync ? 'on' : 'off'}${buffer === 0 ? '' : `, ${counted(buffer, 'copy', 'copies')} of each item kept from CardTrader`}`;
const statusWords = ({ out }: CliContext, { status }: Seller): string => out.paint(status === 'active' ? 'green' : 'yellow', STATUS_WORDS[status]);
const accountOf = ({ sellerId, appName }: Seller): string => `CardTrader’s ${sellerId === null ? 'seller of an unknown id' : `seller ${sellerId}`}, app ${appName === null ? 'without a name' : `“${printable(appName)}”`}`;
const ago = (now: number, then: Date): string => `${formatSeconds(Math.max(0, now - then.getTime()) / 1_000)} ago`;
