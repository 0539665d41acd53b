import { CARDTRADER_SOURCE } from '../../contract/index.ts';
import type { HistoryRow, ItemRow, ParkedRow } from './item.sql.ts';
import { saleWords } from './sale-words.ts';
import { signed, timeText } from './text.ts';

export { timeText };

/** The ledger and the flags in words: what sellers' support reads out on the phone. Pure. */
const FLAGS = [
  [1, 'removed', 'the seller took it off; a later SET brings it back'],
  [2, 'drifted', 'an ADJUST would have gone below zero, or more was sold on CardTrader than was here, so our number and the seller’s differ; the next SET settles it'],
  [4, 'oversold', 'less is on hand than is held for purchases'],
] as const;

export function flagNames(flags: number): string[] {
  return FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
}

export function flagSentences(flags: number): string[] {
  return FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, name, meaning]) => `${name}: ${meaning}`);
}

/** One ledger row: what was asked, by whom, and what came of it. */
export function historyWords(row: HistoryRow): string {
  if (row.kind !== 'SET' && row.kind !== 'ADJUST' && row.kind !== 'REMOVE') return saleWords(row);
  const asked = { SET: `SET to ${row.quantity}`, ADJUST: `ADJUST ${signed(row.quantity)}`, REMOVE: 'REMOVE' }[row.kind];
  switch (row.outcome) {
    case 'applied': {
      if (row.kind === 'ADJUST' && row.cause === CARDTRADER_SOURCE && row.quantity !== 0) return `${onCardTrader(row)} (${signed(row.delta)}), now ${row.on_hand}`;
      // What an ADJUST changed by is what it said.
      const change = row.kind === 'ADJUST' ? '' : ` (${row.delta === 0 ? 'no change' : signed(row.delta)})`;
      return `${asked} by ${row.cause}${change}, now ${row.on_hand}`;
    }
    case 'stale':
      return `${asked} ignored: version ${row.version ?? '(none)'} is not newer than what was known; still ${row.on_hand}`;
    case 'rejected':
    case 'dead-lettered':
      return `${asked} ${refusal(row)}`;
  }
}

/** More may have been sold there than was here. */
function onCardTrader({ quantity, delta }: HistoryRow): string {
  if (quantity > 0) return `${quantity} of a sale on CardTrader came back`;
  if (delta === quantity) return `${-quantity} sold on CardTrader`;
  return `${-quantity} sold on CardTrader, ${delta === 0 ? 'none' : `only ${-delta}`} of which ${delta === -1 ? 'was' : 'were'} here`;
}

function refusal(row: HistoryRow): string {
  switch (row.cause) {
    case 'would_go_negative':
      return `refused: would go below zero (had ${row.on_hand})`;
    case 'out_of_range':
      return `refused: more than a stock can count (had ${row.on_hand})`;
    case 'discarded':
      return `discarded by an operator while the user was parked (had ${row.on_hand})`;
    default:
      return `refused: ${row.cause} (had ${row.on_hand})`;
  }
}

/** The item now, a line a fact. */
export function stateLines(item: ItemRow): string[] {
  const price = item.price_cents === null ? 'unknown' : `${(item.price_cents / 100).toFixed(2)} ${item.currency ?? '(no currency)'}`;
  const properties = Object.entries(item.properties ?? {}).map(([name, value]) => `${name} ${value}`);
  return [
    `available   ${item.on_hand - item.held} (${item.on_hand} on hand, ${item.held} held)`,
    `price       ${price}`,
    `blueprint   ${item.blueprint_id ?? 'unknown: it cannot be listed remotely yet'}`,
    `properties  ${properties.length === 0 ? 'none' : properties.join(', ')}`,
    `version     ${item.version ?? 'none: its producer sends no versions'}`,
    ...flagSentences(item.flags).map((sentence, index) => `${index === 0 ? 'flags' : '     '}       ${sentence}`),
    `changed     ${timeText(item.updated_at)} UTC`,
  ];
}

export function parkedLines(userId: string, parked: ParkedRow): string[] {
  return [
    `The user is parked since ${timeText(parked.parked_at)} UTC: ${parked.waiting} ${parked.waiting === 1 ? 'event waits' : 'events wait'}, so this is not the newest state.`,
    `  why:     ${parked.reason}: ${parked.error}`,
    `  release: brx-sync parked retry ${userId}${parked.attempts === 0 ? '' : ` (tried ${parked.attempts} ${parked.attempts === 1 ? 'time' : 'times'})`}`,
  ];
}
