import { about, describeRow } from './describe.ts';
import type { Difference, Differences } from './differences.ts';
import type { Found, FoundRow } from './found.ts';
import type { FoundSaga, FoundSales } from './found-sales.ts';
import { compareOperations } from './operations.ts';
import { ENDED, mayFollow } from './sale-rules.ts';
import type { TopicLog } from './topic-log.ts';
import type { ExpectedSale, ExpectedSaleRow, Verdict } from './verdict.ts';

type Problem = Pick<Difference, 'what' | 'problem' | 'expected' | 'found'>;

/** Every ledger row of a sale against the one that is there, and no row more. `told`: items of which something was told already. */
export function compareSaleRows(log: TopicLog, verdict: Verdict, found: Found, differences: Differences, told: Set<number>): number {
  // What should not be there first, then rows that are missing or out of place: what stands behind them is wrong because of them.
  for (let row = 0; row < log.events.size; row += 1) {
    const extra = found.ledger(row);
    if (extra === undefined || extra.sale === null || verdict.saleRows.has(row) || verdict.row(row) !== undefined || told.has(extra.item)) continue;
    told.add(extra.item);
    differences.add({ what: 'ledger', problem: 'a ledger row that no purchase, cancellation or step of a sale explains', expected: null, found: describeRow(log, extra), ...aboutRow(log, row, extra.item, extra.sale) });
  }
  const rows = [...verdict.saleRows];
  const adrift = ([row]: [number, ExpectedSaleRow]): boolean => verdict.adrift.has(row) || found.ledger(row) === undefined;
  for (const [row, expected] of [...rows.filter(adrift), ...rows.filter((one) => !adrift(one))]) {
    const problem = judgeRow(log, expected, found.ledger(row), verdict.adrift.has(row));
    if (problem === undefined || told.has(expected.item)) continue;
    told.add(expected.item);
    differences.add({ ...problem, ...aboutRow(log, row, expected.item, expected.sale) });
  }
  return verdict.saleRows.size;
}

function judgeRow(log: TopicLog, expected: ExpectedSaleRow, found: FoundRow | undefined, adrift: boolean): Problem | undefined {
  const { kind, outcome, cause, quantity, delta, held, on_hand: onHand } = expected;
  const wanted = { kind, outcome, cause, quantity, delta, held, on_hand: onHand, purchase_id: log.sales.text(expected.sale, 1), after: expected.previous === null ? null : log.events.text(expected.previous) };
  if (found === undefined) return { what: 'ledger', problem: { P: 'a purchase has no ledger row', C: 'a cancellation has no ledger row', T: 'a sale that was confirmed took no stock', B: 'a sale that was undone gave nothing back' }[kind], expected: wanted, found: null };
  if (adrift) return { what: 'order', problem: 'a step of a sale stands nowhere in its item’s history', expected: 'behind another row of the item', found: describeRow(log, found) };
  const same =
    found.kind === kind && found.outcome === outcome && found.cause === cause && found.quantity === quantity && found.delta === delta && found.held === held && found.onHand === onHand && found.item === expected.item && found.sale === expected.sale;
  if (!same) return { what: 'ledger', problem: 'a ledger row of a sale says something else', expected: wanted, found: describeRow(log, found) };
  const fromTopic = kind === 'P' || kind === 'C';
  if (fromTopic && found.occurredAt !== log.occurredAt(expected.occurrence)) return { what: 'ledger', problem: 'a ledger row is not the event of the topic', expected: { ...wanted, occurred_at: log.occurredAt(expected.occurrence) }, found: describeRow(log, found) };
  if (found.previous !== (expected.previous ?? -1)) return { what: 'order', problem: `${fromTopic ? 'an event' : 'a step of a sale'} stands at another place in its item’s history`, expected: wanted, found: describeRow(log, found) };
  return undefined;
}

const aboutRow = (log: TopicLog, row: number, item: number, sale: number): Pick<Difference, 'user_id' | 'item_id' | 'purchase_id' | 'event_id'> => ({
  user_id: log.sales.text(sale, 0),
  ...(item >= 0 && { item_id: log.items.text(item, 1) }),
  purchase_id: log.sales.text(sale, 1),
  event_id: log.events.text(row),
});

/** Sales as they stand: each purchase has one, each decision was right, no step that may not be, holds exactly while they are needed. */
export function compareSales(log: TopicLog, verdict: Verdict, sales: FoundSales, differences: Differences, options: { settled: boolean; told: ReadonlySet<number> }): void {
  for (const [sale, expected] of verdict.sales) {
    const saga = sales.sagas.get(sale);
    const say = (problem: Problem): void => differences.add({ ...problem, ...about(log, expected.occurrence) });
    if (saga === undefined) {
      say({ what: 'sale', problem: 'a purchase was taken and has no sale', expected: { decision: expected.decision }, found: null });
      continue;
    }
    const request = log.requestOf(expected.occurrence);
    const [wanted, stored] = [saidOf(log.events.text(log.eventOf(expected.occurrence)), request), saidOf(log.events.text(saga.event), saga)];
    if (JSON.stringify(wanted) !== JSON.stringify(stored)) say({ what: 'sale', problem: 'a sale is not the purchase of the topic', expected: wanted, found: stored });
    // What an item had is uncertain once something is wrong in its history.
    if (request.wants.every(({ item }) => !options.told.has(item))) judgeDecision(log, expected, saga).forEach(say);
    judgeSteps(saga, options.settled).forEach(say);
    judgeCancels(log, expected, saga, verdict).forEach(say);
    judgeHolds(log, request.wants, saga, sales.holds.get(sale)).forEach(say);
    compareOperations(saga, request.wants.map(({ item, quantity }) => ({ itemId: log.items.text(item, 1), quantity }))).forEach(say);
  }
  for (const [sale, saga] of sales.sagas) {
    if (!verdict.sales.has(sale)) differences.add({ what: 'sale', problem: 'a sale nobody asked for', ...aboutSale(log, sale), expected: null, found: { state: saga.state, event_id: log.events.text(saga.event) } });
  }
  for (const [sale, holds] of sales.holds) {
    if (sales.sagas.has(sale)) continue;
    for (const [item, quantity] of holds) differences.add({ what: 'hold', problem: 'stock is held for a sale that is not there', ...aboutSale(log, sale), expected: null, found: { item_id: log.items.text(item, 1), quantity } });
  }
}

const aboutSale = (log: TopicLog, sale: number): Pick<Difference, 'user_id' | 'purchase_id'> => ({ user_id: log.sales.text(sale, 0), purchase_id: log.sales.text(sale, 1) });

const saidOf = (eventId: string, { currency, buyer_id: buyer, lines }: Pick<FoundSaga, 'currency' | 'buyer_id' | 'lines'>) => ({
  event_id: eventId,
  buyer_id: buyer,
  currency,
  lines: lines.map(({ item_id, quantity, unit_price_cents }) => ({ item_id, quantity, unit_price_cents })),
});

/** Reserved or rejected, and for the right reason, given what the items had when the purchase came. */
function judgeDecision(log: TopicLog, { decision, lacking }: ExpectedSale, { steps }: FoundSaga): Problem[] {
  const first = steps.find(({ version }) => version === 1);
  if (first === undefined) return []; // told as steps that are missing
  const taken = first.fact === 'rejected' ? first.reason : first.fact;
  if (taken === decision) return [];
  const problem = decision === 'reserved' ? 'a purchase was rejected although all of it was available' : taken === 'reserved' ? 'a purchase was reserved although not all of it was available' : 'a purchase was rejected for another reason';
  return [{ what: 'sale', problem, expected: { decision, lacking: lacking.map(({ item, ...rest }) => ({ item_id: log.items.text(item, 1), ...rest })) }, found: taken }];
}

function judgeSteps(saga: FoundSaga, settled: boolean): Problem[] {
  const problems: Problem[] = [];
  let state = '';
  let [sold, confirmed, undone] = [false, 0, 0];
  let reason: string | null = null;
  saga.steps.forEach((step, index) => {
    if (problems.length > 0) return; // the rest follows from it
    if (step.version !== index + 1) problems.push({ what: 'sale', problem: 'a step of a sale is missing', expected: `version ${index + 1}`, found: `version ${step.version} (${step.fact})` });
    else if (!mayFollow(state, step.fact, step.state)) problems.push({ what: 'sale', problem: 'a sale took a step that may not follow', expected: `a step from ${state === '' ? 'its beginning' : state}`, found: `version ${step.version}: ${step.fact}, ${step.state}` });
    state = step.state;
    if (step.fact === 'confirmed') confirmed += 1;
    if (step.fact === 'compensated' || step.fact === 'rejected') undone += 1;
    sold = step.fact === 'confirmed' || (sold && step.fact !== 'compensated');
    if (step.fact === 'rejected' || step.fact === 'compensating' || step.fact === 'compensated') ({ reason } = step);
    if (step.fact === 'confirmed') reason = null;
  });
  if (problems.length > 0) return problems;
  if (confirmed > 1 || undone > 1) return [{ what: 'sale', problem: 'a sale ended twice', expected: 'confirmed once at most, undone once at most', found: { confirmed, undone } }];
  const [expected, found] = [
    { state, version: saga.steps.length, sold, reason },
    { state: saga.state, version: saga.version, sold: saga.sold, reason: saga.reason },
  ];
  if (JSON.stringify(expected) !== JSON.stringify(found)) return [{ what: 'sale', problem: 'a sale is not what its last step made of it', expected, found }];
  if (settled && !ENDED.has(saga.state)) return [{ what: 'sale', problem: saga.state === 'NEEDS_OPERATOR' ? 'a sale waits for an operator' : 'a sale has not ended', expected: 'CONFIRMED, REJECTED or COMPENSATED', found: saga.state }];
  return [];
}

/** A cancellation that took effect undoes its sale; one that was ignored found it undone, or being undone. */
function judgeCancels(log: TopicLog, { cancels }: ExpectedSale, saga: FoundSaga, verdict: Verdict): Problem[] {
  const facts = new Set(saga.steps.map(({ fact }) => fact));
  const undone = saga.steps.some(({ fact, reason }) => fact === 'cancel_noted' || ((fact === 'compensating' || fact === 'compensated') && reason === 'cancelled'));
  return cancels.flatMap((occurrence): Problem[] => {
    const outcome = verdict.saleRows.get(log.eventOf(occurrence))?.outcome;
    const found = { event_id: log.events.text(log.eventOf(occurrence)), outcome: outcome === 's' ? 'stale' : 'applied', state: saga.state };
    if (outcome === 'a' && !undone) return [{ what: 'sale', problem: 'a cancellation that was taken changed nothing', expected: 'the sale undone, or being undone', found }];
    if (outcome === 's' && !['rejected', 'compensating', 'compensated', 'cancel_noted'].some((fact) => facts.has(fact))) return [{ what: 'sale', problem: 'a cancellation was ignored although the sale stood', expected: 'the sale undone, or being undone', found }];
    return [];
  });
}

/** From its reservation until it is sold or undone a sale holds its lines; at no other time anything. */
function judgeHolds(log: TopicLog, wants: readonly { item: number; quantity: number }[], { steps }: FoundSaga, found: ReadonlyMap<number, number> = new Map()): Problem[] {
  const facts = new Set(steps.map(({ fact }) => fact));
  const holding = facts.has('reserved') && !facts.has('confirmed') && !facts.has('compensated');
  const expected = new Map(holding ? wants.map(({ item, quantity }) => [item, quantity]) : []);
  return [...new Set([...expected.keys(), ...found.keys()])].flatMap((item): Problem[] => {
    const [wanted, held] = [expected.get(item), found.get(item)];
    if (wanted === held) return [];
    const problem = held === undefined ? 'a sale under way holds nothing of one of its items' : wanted === undefined ? 'a sale that has ended, or has no such item, still holds stock' : 'a sale holds another quantity than it reserved';
    const itemId = log.items.text(item, 1);
    return [{ what: 'hold', problem, expected: wanted === undefined ? null : { item_id: itemId, quantity: wanted }, found: held === undefined ? null : { item_id: itemId, quantity: held } }];
  });
}
