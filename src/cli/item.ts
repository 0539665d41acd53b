import type { Command } from 'commander';
import { integerOption, uuidArgument } from './arguments.ts';
import { withReader } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { counted } from './output.ts';

const DEFAULT_LIMIT = 50;

/** `brx-sync item USER ITEM`. */
export function registerItem(program: Command, context: CliContext): void {
  program
    .command('item')
    .description('why does this number say 3? An item’s state now, the sales that hold it, its listing on CardTrader, and its history in words')
    .argument('<user>', 'the seller’s id', uuidArgument)
    .argument('<item>', 'the item’s id (the upstream’s stock line)', uuidArgument)
    .option('--limit <n>', 'most history lines, newest first', integerOption(1, 100_000), DEFAULT_LIMIT)
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync item 0197a3c2-... 0197a3d0-...', 'state and the last 50 events'],
        ['brx-sync item 0197a3c2-... 0197a3d0-... --limit 1000', 'go back further'],
        ['brx-sync item 0197a3c2-... 0197a3d0-... --json | jq .item.on_hand', 'for a script'],
      ])}\n\nTimes are UTC, as their producer stamped them. An item that does not exist is an answer, not an error.`,
    )
    .action((user: string, item: string, options: { limit: number }) => run(context, user, item, options.limit));
}

async function run(context: CliContext, userId: string, itemId: string, limit: number): Promise<void> {
  const { out } = context;
  const { explainItem, flagNames, historyWords, holdLines, listingLines, operationLines, parkedLines, stateLines, timeText } = await import('../operations/item/index.ts');
  const report = await withReader(context, ({ pool }) => explainItem(pool, userId, itemId, limit));
  const { item, history, holds, listing, operations, parked } = report;
  out.json({
    ...report,
    item: item === null ? null : { ...item, available: item.on_hand - item.held, flag_names: flagNames(item.flags) },
    history: history.map((row) => ({ ...row, words: historyWords(row) })),
  });

  const section = (title: string, lines: readonly string[]): void => {
    if (lines.length === 0) return;
    out.line();
    out.line(out.paint('bold', title));
    for (const line of lines) out.line(line);
  };
  out.line(out.paint('bold', `item ${itemId} of user ${userId}`));
  if (item === null) {
    const users = report.user_items === 0 ? 'The user has no items at all.' : `The user has ${counted(report.user_items, 'other item')}.`;
    out.line(`There is no such item: no event for it has taken effect. ${users}`);
    out.line('If its producer has sent something: brx-sync lag, and brx-sync dlq list');
  } else {
    for (const line of stateLines(item)) out.line(line);
  }
  section('held for sales under way', holdLines(holds));
  if (listing !== null) section('on CardTrader', [...listingLines(listing), ...operationLines(operations)]);
  else if (operations.length > 0) section('on CardTrader (its listing is gone)', operationLines(operations));
  if (parked !== null) {
    out.line();
    for (const [index, line] of parkedLines(userId, parked).entries()) out.line(index === 0 ? out.paint('yellow', line) : line);
  }
  if (history.length === 0) return;
  out.line();
  out.line(out.paint('bold', 'history, newest first (UTC)'));
  for (const row of history) out.line(`${timeText(row.occurred_at)}  ${historyWords(row)}`);
  if (report.history_end === 'more') out.line(`... and more: --limit ${limit * 10}`);
  if (report.history_end === 'gone') out.line('... what came before is older than the ledger keeps');
}
