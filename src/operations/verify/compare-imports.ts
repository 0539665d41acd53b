import { describeRow } from './describe.ts';
import type { Differences } from './differences.ts';
import type { Found } from './found.ts';
import type { ReadImports } from './imports.ts';
import type { TopicLog } from './topic-log.ts';
import type { Verdict } from './verdict.ts';

/** Every ledger row of an import, or of drift that was mended, against what its chunk says and where it stands. `told`: items of which something was told already. */
export function compareImports(log: TopicLog, verdict: Verdict, found: Found, { unexplained, short }: ReadImports, differences: Differences, told: Set<number>): number {
  const about = (row: number, item: number): { user_id: string; item_id: string; event_id: string } => ({ user_id: log.items.text(item, 0), item_id: log.items.text(item, 1), event_id: log.events.text(row) });
  for (const row of unexplained) {
    const item = found.imports.get(row)?.item ?? -1;
    if (item === -1 || told.has(item)) continue;
    told.add(item);
    differences.add({ what: 'ledger', problem: 'a ledger row of an import that no chunk on the topic of snapshots explains', expected: null, found: describeRow(log, found.ledger(row)), ...about(row, item) });
  }
  // Out of place first: what stands behind them is wrong because of them.
  for (const [row, expected] of [...verdict.imports].sort(([, a], [, b]) => Number(b.adrift) - Number(a.adrift))) {
    const there = found.ledger(row);
    if (there === undefined || told.has(expected.item)) continue;
    const wanted = { kind: 'S', quantity: expected.quantity, outcome: 'a', cause: expected.cause, delta: expected.delta, on_hand: expected.on_hand, after: expected.previous === null ? null : log.events.text(expected.previous) };
    const same = there.kind === 'S' && there.quantity === expected.quantity && there.outcome === 'a' && there.cause === expected.cause && there.delta === expected.delta && there.onHand === expected.on_hand && there.version === null;
    const elsewhere = expected.adrift || (same && there.previous !== (expected.previous ?? -1));
    if (same && !elsewhere) continue;
    told.add(expected.item);
    differences.add({ what: elsewhere ? 'order' : 'ledger', problem: elsewhere ? 'an import stands at another place in its item’s history' : 'a ledger row of an import says something else', expected: wanted, found: describeRow(log, there), ...about(row, expected.item) });
  }
  for (const { userId, eventId, expected, found: there } of short) {
    differences.add({ what: 'ledger', problem: 'a chunk of a bulk sync has not the ledger rows it was counted to', user_id: userId, event_id: eventId, expected, found: there });
  }
  return verdict.imports.size;
}
