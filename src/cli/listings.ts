import { type Command, Option } from 'commander';
import type { Linked, ListingDetail, ListingRow, MismatchKind, OperationDetail } from '../marketplace/index.ts';
import { BrxError } from '../errors.ts';
import { systemClock } from '../platform/clock.ts';
import { integerOption, uuidArgument } from './arguments.ts';
import { withMarketplace, withPostgres } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { operator } from './operator.ts';
import { counted, formatCount, formatSeconds, formatTime, printable } from './output.ts';
import { sellerArgument } from './seller-token.ts';

/** By name, so that `--help` need not load the feature; a test compares them with its list. */
export const MISMATCH_KINDS = ['fewer', 'more', 'overwritten_sale', 'echo', 'other_quantity', 'gone', 'merged', 'late_effect'] as const satisfies readonly MismatchKind[];
const DEFAULT_LIMIT = 50;
/** Examples of each finding in words; --json has all. */
const SHOWN = 10;

/** `brx-sync listings link | list | problems | show | unlink | clear-mismatch`. */
export function registerListings(program: Command, context: CliContext): void {
  const listings = program
    .command('listings')
    .description('which of a seller’s items are listed on CardTrader, and whether both sides agree')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync listings link 0197a3c2-... --dry-run', 'what CardTrader’s export says about a seller’s items, without writing anything'],
        ['brx-sync listings link 0197a3c2-...', 'tie each product whose user_data_field has an item’s id to that item'],
        ['brx-sync listings list 0197a3c2-... --mismatched', 'what CardTrader showed that nothing here explains'],
        ['brx-sync listings show 0197a3c2-... 0197a3d0-...', 'all about one listing'],
        ['brx-sync listings clear-mismatch 0197a3c2-... 0197a3d0-... --reason "recounted"', 'somebody has looked at it'],
      ])}\n\nNothing here changes anything on CardTrader. What is done is written down with who and why.`,
    );
  listings
    .command('link')
    .description('fill a seller’s listings from an export of their whole stock on CardTrader; safe to repeat')
    .argument('<user>', 'the seller’s id', sellerArgument)
    .option('--dry-run', 'only say what would come of it')
    .option('--force', 'believe an export that lacks many of the products that are listed')
    .option('--reason <text>', 'why, for the record', 'link')
    .addHelpText(
      'after',
      '\nExit code 0 if every product that names an item was tied and has as many copies as can be sold here, 1 if something needs a look (several products for one\nitem, unknown items, items at work, products that vanished, other quantities), 4 if it was refused, 69 if CardTrader does not answer.\nThe same with --dry-run.',
    )
    .action((user: string, options: LinkOptions) => link(context, user, options));
  listings
    .command('list')
    .description('list a seller’s listings, as CardTrader confirmed them last, beside the stock here')
    .argument('<user>', 'the seller’s id', sellerArgument)
    .option('--mismatched', 'only those with a mismatch')
    .option('--different', 'only those of which CardTrader has another number of copies than can be sold here, with no operation under way')
    .option('--limit <n>', 'at most so many, by item', integerOption(1, 1_000_000), DEFAULT_LIMIT)
    .action((user: string, options: ListOptions) => list(context, user, options));
  listings
    .command('problems')
    .description('list what CardTrader does not take of a seller’s items, or took with a warning; sent again when something else is wanted of the item')
    .argument('<user>', 'the seller’s id', sellerArgument)
    .option('--limit <n>', 'at most so many, by item', integerOption(1, 1_000_000), DEFAULT_LIMIT)
    .action((user: string, options: { limit: number }) => problems(context, user, options.limit));
  listings
    .command('show')
    .description('one listing: both sides’ numbers, its mismatch, operations, and what operators did')
    .argument('<user>', 'the seller’s id', sellerArgument)
    .argument('<item>', 'the item’s id', uuidArgument)
    .action((user: string, item: string) => show(context, user, item));
  listings
    .command('unlink')
    .description('forget that an item is listed: its sales then need no step on CardTrader, where the product stays as it is')
    .argument('<user>', 'the seller’s id', sellerArgument)
    .argument('<item>', 'the item’s id', uuidArgument)
    .requiredOption('--reason <text>', 'why, for the record')
    .addHelpText('after', '\nAs long as the product names the item, the next `link` ties it again.')
    .action((user: string, item: string, options: { reason: string }) => unlink(context, user, item, options.reason));
  listings
    .command('clear-mismatch')
    .description('take a mismatch off the list once somebody has looked at it; quantities stay as they are')
    .argument('<user>', 'the seller’s id', sellerArgument)
    .argument('[item]', 'the item’s id', uuidArgument)
    .option('--all', 'every mismatch of the seller')
    .addOption(new Option('--kind <kind>', 'with --all: only of this kind').choices(MISMATCH_KINDS))
    .requiredOption('--reason <text>', 'why, for the record')
    .action((user: string, item: string | undefined, options: ClearOptions) => clear(context, user, item, options));
}

interface LinkOptions {
  dryRun?: true;
  force?: true;
  reason: string;
}
interface ListOptions {
  mismatched?: true;
  different?: true;
  limit: number;
}
interface ClearOptions {
  all?: true;
  kind?: MismatchKind;
  reason: string;
}

async function link(context: CliContext, userId: string, options: LinkOptions): Promise<void> {
  const { out } = context;
  const dryRun = options.dryRun === true;
  const begun = systemClock.monotonic();
  const linked = await withMarketplace(context, async (deps, { linkListings, openToken }) => {
    const token = await openToken(deps, userId);
    out.progress('reads the export of CardTrader; a large stock takes minutes');
    const onProgress = (done: number, of: number): void => out.progress(`${formatCount(done)} of ${counted(of, 'product that names', 'products that name')} an item`);
    return linkListings({ ...deps, clock: systemClock }, { userId, token, signal: context.signal }, { who: operator(), reason: options.reason, force: options.force === true, dryRun, onProgress });
  });
  const toLookAt = linked.ambiguous.length + linked.unknown.length + linked.busy.length + linked.gone.length + linked.different.length + linked.unread;
  out.json({ userId, dryRun, ...linked });
  for (const line of linkWords(linked, userId, dryRun)) out.line(line);
  out.note(`${dryRun ? 'nothing was written' : 'done'}, in ${formatSeconds((systemClock.monotonic() - begun) / 1_000)}`);
  if (toLookAt > 0) context.setExitCode(1);
}

function linkWords(linked: Linked, userId: string, dryRun: boolean): string[] {
  const { products, unread, fresh, unnamed, ambiguous, unknown, busy, gone, different, unlisted } = linked;
  const lines = [`${counted(products, 'product')} on CardTrader`, `${formatCount(linked.linked)} ${dryRun ? 'would be tied' : 'tied'} to their items, ${formatCount(fresh)} of them new`];
  const found = (count: number, what: string, examplesOf: readonly string[]): void => {
    if (count === 0) return;
    lines.push('', `${formatCount(count)} ${what}`, ...examplesOf.slice(0, SHOWN).map((example) => `  ${example}`));
    if (count > Math.min(SHOWN, examplesOf.length)) lines.push(`  and ${formatCount(count - Math.min(SHOWN, examplesOf.length))} more`);
  };
  found(unread, 'entries of the export could not be read', []);
  found(unnamed.count, 'products name no item in their user_data_field: they are left alone', unnamed.products.map(({ productId, name, quantity }) => `product ${productId}, ${copies(quantity)}${name === null ? '' : `, ${printable(name)}`}`));
  found(ambiguous.length, 'items are named by several products: none of these is tied, because nothing says which it is; take the id out of all but one', ambiguous.map(({ itemId, productIds }) => `item ${itemId}: products ${productIds.join(', ')}`));
  found(unknown.length, 'products name items that are not known here: wrong seller, wrong id, or their events have not come yet', unknown.map(tieWords));
  found(busy.length, 'items have an operation at work, or had while the export was made: they stay as they are known; link again later', busy.map(tieWords));
  found(gone.length, `products that were listed are not in the export: ${dryRun ? 'they would be marked' : 'marked'} as gone`, gone.map(tieWords));
  found(different.length, 'listings have another number of copies on CardTrader than can be sold here', different.map(({ itemId, productId, remote, available }) => `item ${itemId} (product ${productId}): ${remote} on CardTrader, ${available} here`));
  found(unlisted.count, 'items have stock here and no listing: their sales need no step on CardTrader', unlisted.itemIds.map((itemId) => `item ${itemId}`));
  if (different.length > 0) lines.push('', `\`brx-sync listings list ${userId} --different\` lists them; the stock here is changed by its upstream, that on CardTrader on its site`);
  return lines;
}

async function list(context: CliContext, userId: string, { mismatched, different, limit }: ListOptions): Promise<void> {
  const { out } = context;
  const { rows, kinds } = await withPostgres(context, async ({ prisma }) => {
    const { MISMATCHES, mustBe, selectListings, selectSeller } = await import('../marketplace/index.ts');
    mustBe(await selectSeller(prisma, userId), userId);
    return { rows: await selectListings(prisma, userId, { mismatched: mismatched === true, different: different === true, limit }), kinds: MISMATCHES };
  });
  out.json(rows.map((row) => ({ ...row, available: availableOf(row) })));
  if (rows.length === 0) return out.line(mismatched === true || different === true ? 'there is none' : `nothing is known to be listed; \`brx-sync listings link ${userId}\` reads it from CardTrader`);
  out.table(
    rows.map((row) => ({
      item: row.itemId,
      product: String(row.productId),
      name: row.name === null ? '' : printable(row.name).slice(0, 40),
      remote: row.gone ? 'gone' : String(row.quantity),
      here: availableOf(row) === null ? 'unknown' : String(availableOf(row)),
      price: priceText(row),
      confirmed: `${formatSeconds(Math.max(0, systemClock.now() - row.confirmedAt.getTime()) / 1_000)} ago`,
      open: row.outstanding,
      mismatch: row.mismatch === null ? '' : row.mismatch.kind,
    })),
    [{ key: 'item' }, { key: 'product', align: 'right' }, { key: 'name' }, { key: 'remote', title: 'CardTrader', align: 'right' }, { key: 'here', align: 'right' }, { key: 'price', align: 'right' }, { key: 'confirmed' }, { key: 'open', title: 'open operations' }, { key: 'mismatch' }],
  );
  for (const kind of new Set(rows.flatMap(({ mismatch }) => (mismatch === null ? [] : [mismatch.kind])))) out.note(`${kind}: ${kinds[kind]}`);
  if (rows.length === limit) out.note(`perhaps more: --limit ${limit * 10}`);
}

async function problems(context: CliContext, userId: string, limit: number): Promise<void> {
  const { out } = context;
  const rows = await withPostgres(context, async ({ prisma }) => {
    const { mustBe, selectProblems, selectSeller } = await import('../marketplace/index.ts');
    mustBe(await selectSeller(prisma, userId), userId);
    return selectProblems(prisma, userId, limit);
  });
  out.json(rows);
  if (rows.length === 0) return out.line('CardTrader takes everything');
  out.table(
    rows.map(({ itemId, productId, kind, said, at }) => ({ item: itemId, product: productId, kind, said: printable(said), since: formatTime(at) })),
    [{ key: 'item' }, { key: 'product', align: 'right' }, { key: 'kind' }, { key: 'said', title: 'what CardTrader said' }, { key: 'since', title: 'since (UTC)' }],
  );
}

async function show(context: CliContext, userId: string, itemId: string): Promise<void> {
  const { out } = context;
  const { listing, operations, actions, words } = await withPostgres(context, async ({ prisma }) => {
    const [{ MISMATCHES, mustBe, selectItemOperations, selectListing, selectSeller }, { operationWords }, { selectActions }] = [await import('../marketplace/index.ts'), await import('../purchase/index.ts'), await import('../platform/postgres/index.ts')];
    mustBe(await selectSeller(prisma, userId), userId);
    const found = await selectListing(prisma, userId, itemId);
    if (found === undefined) throw new BrxError('BRX_REFUSED', `item ${itemId} of ${userId} is not listed`, { remedy: '`brx-sync listings link` ties items to products, `brx-sync listings list` shows those that are' });
    const named = [found.operationId, found.mismatch?.operationId].filter((id): id is string => typeof id === 'string');
    return { listing: found, operations: await selectItemOperations(prisma, userId, itemId, named), actions: await selectActions(prisma, `${userId}/${itemId}`), words: { mismatch: found.mismatch === null ? null : MISMATCHES[found.mismatch.kind], operation: operationWords } };
  });
  out.json({ ...listing, available: availableOf(listing), mismatchMeans: words.mismatch, operations, actions });
  for (const line of listingLines(context, listing, userId, words.mismatch)) out.line(line);
  if (operations.length > 0) out.line(`\n${out.paint('bold', 'operations: the one whose marker the product carries, and what is open')}`);
  for (const operation of operations) out.line(`  ${words.operation(operation)}${saleOf(operation)}`);
  if (actions.length > 0) out.line(`\n${out.paint('bold', 'what operators did (UTC)')}`);
  for (const { at, who, action, reason } of actions) out.line(`  ${formatTime(at)}  ${who}: ${action} (“${reason}”)`);
}

function listingLines({ out }: CliContext, listing: ListingDetail, userId: string, mismatchMeans: string | null): string[] {
  const { itemId, productId, product, quantity, gone, onHand, held, mismatch, outstanding, soldLines } = listing;
  const properties = Object.entries(product.properties).map(([name, value]) => printable(`${name} ${String(value)}`));
  const available = availableOf(listing);
  const agrees = outstanding > 0 ? 'operations are under way' : available === quantity ? 'both sides agree' : out.paint('yellow', 'they differ');
  return [
    out.paint('bold', `item ${itemId} of user ${userId}: product ${productId}${product.name === null ? '' : `, ${printable(product.name)}`}`),
    `CardTrader  ${gone ? 'gone' : copies(quantity)}, confirmed ${formatTime(listing.confirmedAt)} UTC by its clock`,
    `here        ${available === null ? 'no such item' : `${available} can be sold (${onHand ?? 0} on hand, ${held ?? 0} held)`}; ${agrees}`,
    `price       ${priceText(listing)}`,
    `blueprint   ${listing.blueprintId}`,
    ...(properties.length === 0 ? [] : [`properties  ${properties.join(', ')}`]),
    ...(product.userDataField === null || product.userDataField === '' ? [] : [`own text    ${printable(product.userDataField)}`]),
    `linked      ${formatTime(listing.linkedAt)} UTC`,
    ...(soldLines.length === 0 ? [] : [`sales seen  ${formatCount(soldLines.length)} order lines, newest ${soldLines.at(-1) ?? ''}`]),
    ...(mismatch === null
      ? []
      : [
          '',
          out.paint('yellow', `mismatch: ${mismatch.kind}, seen ${formatTime(new Date(mismatch.at))} UTC${mismatch.expected === null ? '' : `, expected ${mismatch.expected}`}${mismatch.found === null ? '' : `, found ${mismatch.found}`}`),
          `  ${mismatchMeans ?? ''}`,
          `  once somebody has looked at it: brx-sync listings clear-mismatch ${userId} ${itemId} --reason …`,
        ]),
  ];
}

async function unlink(context: CliContext, userId: string, itemId: string, reason: string): Promise<void> {
  const { out } = context;
  await withPostgres(context, async (postgres) => (await import('../marketplace/index.ts')).unlinkListing(postgres, userId, itemId, { who: operator(), reason }));
  out.json({ userId, itemId, unlinked: true });
  out.line(`item ${itemId} counts as not listed`);
}

async function clear(context: CliContext, userId: string, itemId: string | undefined, { all, kind, reason }: ClearOptions): Promise<void> {
  const { out } = context;
  if ((all === true) === (itemId !== undefined)) throw new BrxError('BRX_USAGE', 'clear-mismatch takes either one item or --all', { remedy: '`brx-sync listings list USER --mismatched` shows what there is' });
  if (itemId !== undefined && kind !== undefined) throw new BrxError('BRX_USAGE', '--kind goes with --all', { remedy: 'an item has one mismatch at most' });
  const cleared = await withPostgres(context, async (postgres) => {
    const { forgetMismatches } = await import('../marketplace/index.ts');
    return forgetMismatches(postgres, userId, { ...(itemId !== undefined && { itemId }), ...(kind !== undefined && { kind }) }, { who: operator(), reason });
  });
  if (cleared.length === 0 && itemId !== undefined) throw new BrxError('BRX_REFUSED', `item ${itemId} of ${userId} has no mismatch`, { remedy: '`brx-sync listings list USER --mismatched` shows what there is' });
  out.json({ userId, cleared });
  out.line(cleared.length === 0 ? 'there was none' : `${counted(cleared.length, 'mismatch', 'mismatches')} taken off the list`);
}

const availableOf = ({ onHand, held }: ListingRow): number | null => (onHand === null ? null : onHand - (held ?? 0));
const priceText = ({ priceCents, currency }: ListingRow): string => `${(priceCents / 100).toFixed(2)}${currency === null ? '' : ` ${currency}`}`;
const saleOf = ({ purchaseId }: OperationDetail): string => (purchaseId === null ? '' : `; sale ${purchaseId}`);
const tieWords = ({ itemId, productId }: { itemId: string; productId: number }): string => `item ${itemId} (product ${productId})`;
const copies = (quantity: number): string => counted(quantity, 'copy', 'copies');
