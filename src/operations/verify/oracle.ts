import { choose } from './choose.ts';
import { createColumn } from './columns.ts';
import { NO_EVIDENCE, type Evidence, type Import } from './evidence.ts';
import { BEGINNING, forEachItem, isImport, placeSteps, type Step } from './replay.ts';
import { ruleOn, UNSEEN, type ItemState } from './rules.ts';
import { saleOn } from './sale-rules.ts';
import { decisionOn, planSales, startedBy, type Finding, type PlannedRow } from './sales.ts';
import type { Position, TopicLog } from './topic-log.ts';
import type { Counts, DeadLetterReason, Described, ExpectedImport, ExpectedItem, ExpectedSale, ExpectedSaleRow, OracleOptions, Verdict } from './verdict.ts';

const OUTCOMES = ['', 'applied', 'stale', 'would_go_negative', 'out_of_range', 'discarded'] as const;

/** What must be in the database after this log; see `Evidence` for how, and for what is taken on the database's word. */
export function settle(log: TopicLog, options: OracleOptions, evidence: Evidence = NO_EVIDENCE): Verdict {
  const deadLetters: (Position & { reason: DeadLetterReason; occurrence: number | null })[] = [];
  const counts: Counts = {
    records: log.records,
    applied: 0,
    stale: 0,
    rejected: 0,
    duplicate: 0,
    parked: 0,
    pending: 0,
    dead_letters: { undecodable: 0, unknown_type: 0, invalid: 0, key_mismatch: 0, too_old: 0, would_go_negative: 0, out_of_range: 0, unknown_purchase: 0, discarded: 0 },
  };
  const bury = (position: Position, reason: DeadLetterReason, occurrence: number | null): void => {
    if (position.offset >= evidence.frontier(position.partition) && evidence.deadLetterAt(position) === undefined) {
      counts.pending += 1;
      return;
    }
    deadLetters.push({ ...position, reason, occurrence });
    counts.dead_letters[reason] += 1;
  };
  for (const { reason, ...position } of log.refused) bury(position, reason, null);

  // First: of each event id, the record that counts. Cancellations last: they count only if their purchase does.
  const acting = createColumn('int32', -1);
  const discarded = new Set<number>();
  const take = (event: number, isUnknown: (occurrence: number) => boolean): void => {
    const { counting, tooOld, unknown, repeats } = choose(log, event, options, evidence, isUnknown);
    for (const occurrence of tooOld) bury(log.position(occurrence), 'too_old', occurrence);
    for (const occurrence of unknown) bury(log.position(occurrence), 'unknown_purchase', occurrence);
    counts.duplicate += repeats;
    if (counting === -1) return;
    const position = log.position(counting);
    if (evidence.deadLetterAt(position) === 'discarded') {
      bury(position, 'discarded', counting);
      discarded.add(event);
    } else if (!evidence.inLedger(event)) {
      if (evidence.isParked(event)) {
        counts.parked += 1;
        return;
      }
      if (position.offset >= evidence.frontier(position.partition)) {
        counts.pending += 1;
        return;
      }
    }
    acting.set(event, counting);
  };
  const read = log.events.size; // rows of sales will be numbered behind the events
  const cancels: number[] = [];
  for (let event = 0; event < read; event += 1) {
    const first = log.first(event);
    if (first === -1) continue;
    if (log.typeOf(first) === 'cancel') cancels.push(event);
    else take(event, () => false);
  }
  const counted = (occurrence: number): boolean => acting.get(log.eventOf(occurrence)) === occurrence;
  const requests = startedBy(log, counted, evidence);
  for (const event of cancels) take(event, (occurrence) => isUnknownSale(log, requests, event, occurrence, evidence));
  for (const at of log.saleOccurrences) {
    if (log.typeOf(at) !== 'request' || !counted(at) || requests.get(log.saleOf(at)) === at) continue;
    acting.set(log.eventOf(at), -1); // the same purchase again
    if (!discarded.has(log.eventOf(at))) counts.duplicate += 1;
  }
  const plan = planSales(log, requests, counted, discarded, evidence);

  // Then: one item after the other, in the order of the topic, with the steps of sales and imports where the database has them.
  const [outcome, delta, onHand, previous] = [createColumn('uint8'), createColumn('int32'), createColumn('int32'), createColumn('int32', -1)];
  const saleRows = new Map<number, ExpectedSaleRow>();
  const findings = new Map<number, Finding[]>();
  const items: (ExpectedItem | undefined)[] = [];
  const disordered = new Set<number>();
  const adrift = new Set<number>();
  const imports = new Map<number, ExpectedImport>();
  const importsOf = byItem(evidence.imports);
  const stepsOf = (item: number): readonly Step[] => {
    const [ofSales, imported] = [plan.steps.get(item) ?? [], importsOf.get(item)];
    return imported === undefined ? ofSales : [...ofSales, ...imported];
  };
  forEachItem(log, acting.get, plan, evidence, stepsOf, (item, { rows, allowed }) => {
    if (!allowed) disordered.add(item);
    let state: ItemState = UNSEEN;
    let last = -1;
    let exists = false;
    const planned = new Map((plan.events.get(item) ?? []).map((row) => [row.row, row]));
    const steps = placeSteps(stepsOf(item), evidence);
    let begun = false;
    const unknown = new Set<Described>();

    const change = (event: number): void => {
      const occurrence = acting.get(event);
      // An operator's discarding says nothing of the item; it stands in the item's chain only if there is an item.
      const result = discarded.has(event) ? { outcome: 'discarded' as const, after: state } : ruleOn(state, log.change(occurrence));
      outcome.set(event, OUTCOMES.indexOf(result.outcome));
      delta.set(event, result.after.on_hand - state.on_hand);
      onHand.set(event, result.after.on_hand);
      previous.set(event, last);
      if (result.outcome === 'applied' && unknown.size > 0) forget(unknown, log.change(occurrence));
      state = result.after;
      exists ||= result.outcome === 'applied' || result.outcome === 'would_go_negative';
      if (exists) last = event;
      if (result.outcome === 'applied' || result.outcome === 'stale') counts[result.outcome] += 1;
      else if (result.outcome !== 'discarded') bury(log.position(occurrence), result.outcome, occurrence);
    };
    const move = ({ row, effect, ...told }: PlannedRow): void => {
      const after = saleOn(state, effect, told.quantity);
      saleRows.set(row, { ...told, delta: after.on_hand - state.on_hand, held: after.held - state.held, on_hand: after.on_hand, previous: last === -1 ? null : last });
      state = after;
    };

    const set = ({ row, change: said, isWhole }: Import, isAdrift: boolean): void => {
      // The item's producer has other names for what an item is like: an import says it only of an item it makes.
      const { after } = ruleOn(state, exists ? { ...said, properties: null } : said);
      imports.set(row, { item, quantity: said.quantity, cause: said.source ?? '', delta: after.on_hand - state.on_hand, on_hand: after.on_hand, previous: last === -1 ? null : last, adrift: isAdrift });
      state = after;
      exists = true;
      forget(unknown, said);
      if (!isWhole) DESCRIBED.forEach((column) => unknown.add(column));
    };
    const takeSteps = (some: readonly Step[], isAdrift = false): void => {
      for (const step of some) {
        if (isImport(step)) set(step, isAdrift);
        else {
          if (isAdrift) adrift.add(step.row);
          move(step);
        }
        last = step.row;
      }
    };
    const begin = (): void => {
      if (!begun) takeSteps(steps.behind(BEGINNING));
      begun = true;
    };

    for (const row of rows) {
      // A purchase of what does not exist yet, or a discarded event, stands before the history: its row follows nothing.
      if (!((planned.has(row) || discarded.has(row)) && evidence.row(row)?.previous === BEGINNING)) begin();
      const ofSale = planned.get(row);
      if (ofSale === undefined) change(row);
      else {
        if (ofSale.kind === 'P') findings.set(ofSale.sale, [...(findings.get(ofSale.sale) ?? []), { item, wanted: ofSale.quantity, available: exists ? state.on_hand - state.held : null }]);
        move(ofSale);
        if (exists) last = row;
      }
      takeSteps(steps.behind(row));
    }
    begin();
    // Steps without a place are differences; the item is held to what they must have done.
    const beforeLeft = last;
    takeSteps(steps.left(), true);
    last = beforeLeft;
    if (exists) items[item] = { ...state, last, unknown };
  });

  const sales = new Map<number, ExpectedSale>();
  for (const [sale, occurrence] of requests) {
    const event = log.eventOf(occurrence);
    sales.set(sale, { occurrence, cancels: plan.cancels.get(sale) ?? [], ...(discarded.has(event) ? { decision: 'discarded', lacking: [] } : decisionOn(findings.get(sale) ?? [])) });
    const became = saleRows.get(event)?.outcome;
    if (became === 'a') counts.applied += 1;
    else if (became === 'r') counts.rejected += 1;
  }
  for (const at of [...plan.cancels.values()].flat()) counts[saleRows.get(log.eventOf(at))?.outcome === 's' ? 'stale' : 'applied'] += 1;

  let scatteredUsers = 0;
  for (let user = 0; user < log.users.size; user += 1) if (log.partitionsOf(user).size > 1) scatteredUsers += 1;
  return {
    row(event) {
      const name = OUTCOMES[outcome.get(event)];
      if (name === undefined || name === '') return undefined;
      const before = previous.get(event);
      return { outcome: name, delta: delta.get(event), on_hand: onHand.get(event), previous: before === -1 ? null : before, occurrence: acting.get(event) };
    },
    item: (item) => items[item],
    saleRows,
    imports,
    adrift,
    sales,
    disordered,
    deadLetters,
    counts,
    scatteredUsers,
  };
}

const DESCRIBED = ['price_cents', 'currency', 'blueprint_id', 'properties'] as const;

/** What is said anew is known again. */
function forget(unknown: Set<Described>, change: Readonly<Record<Described, unknown>>): void {
  for (const column of DESCRIBED) if (change[column] !== null) unknown.delete(column);
}

function byItem(imports: readonly Import[]): Map<number, Import[]> {
  const items = new Map<number, Import[]>();
  for (const one of imports) {
    const known = items.get(one.item);
    if (known === undefined) items.set(one.item, [one]);
    else known.push(one);
  }
  return items;
}

/** Whether a cancellation came before the purchase it calls off, or without one. */
function isUnknownSale(log: TopicLog, requests: ReadonlyMap<number, number>, event: number, occurrence: number, evidence: Evidence): boolean {
  const position = log.position(occurrence);
  const letter = evidence.deadLetterAt(position);
  if (evidence.isParked(event) || letter === 'discarded') return false;
  const request = requests.get(log.saleOf(occurrence));
  if (request === undefined) return true;
  // In another partition than its purchase: in which order they were taken is the database's word.
  if (log.position(request).partition !== position.partition) return letter === 'unknown_purchase';
  return request > occurrence;
}
