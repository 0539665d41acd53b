import { faultPoint } from '../../platform/fault-points.ts';
import { markUserDataField, noticesText, readUserDataField, type JobResult, type NewProduct, type ProductChange, type RemoteProduct } from '../client/index.ts';
import { fingerprintOf, needOf } from '../listing-sync/index.ts';
import { snapshotOf, type Listing } from '../listings/index.ts';
import { carryOut, changeOf, freshPlan, seenAs, type CarriedOut } from './carry-out.ts';
import { checkSales } from './check-sales.ts';
import { intentOf, listedResult, lookBefore, productOf, withText } from './create-anew.ts';
import { readOrders, Record, type Desk, type WholeStock } from './desk.ts';
import type { Plan } from './plan.ts';
import { DATE_SLACK_MS, soldLines, soldSince, STALE_MS } from './remote-sales.ts';
import { again, applied, notAsked, patienceMs, refused, refusedProblem, stalled, unknown } from './results.ts';
import { mismatch, type Intent, type Result, type Work } from './work.ts';

/** What became of one of many; called once for each. */
export type Settle = (work: Work, done: CarriedOut) => void;

/** One SYNC of a job, with what is sent and what is known if it takes effect. */
interface Part {
  readonly work: Work;
  readonly record: Record;
  readonly intent: Intent;
  /** Whether only price or properties go out: then no sale can be overwritten. */
  readonly quantitySent: boolean;
  readonly detailsSent: boolean;
  readonly send: NewProduct | (ProductChange & { readonly id: number });
  /** The listing if it takes effect, as far as the job's answer does not say more. */
  applied(productId: number, at: number): Listing;
  /** Of what is listed: the product as far as it is known. */
  readonly creates: boolean;
}

/** Those that an export does not show go one by one, at most so many of a batch at once. */
const ALONE = 10;
/** Two looks at a job, ms; the rate limit of jobs is about as long. */
const LOOK_MS = 1_000;

/**
 * Many SYNCs of one seller as bulk jobs: one export → decide each → write down all that is about to be sent → one call → its job's id →
 * the job's results, item by item → one look for sales that fell in between. Each operation ends as it would alone: what one item
 * meets harms no other, and where an answer is lost each is told by its own marker.
 */
export async function syncMany(desk: Desk, works: readonly Work[], settle: Settle): Promise<void> {
  const stock = await desk.wholeStock(Math.max(...works.map(({ listing }) => (listing.gone ? 0 : listing.confirmedAt))));
  const records = new Map(works.map((work) => [work, new Record(desk.clock)]));
  const recordOf = (work: Work): Record => records.get(work) ?? new Record(desk.clock);
  const end = (work: Work, result: Result | null): void => settle(work, { result, evidence: recordOf(work).evidence });
  if (stock.outcome !== 'applied') {
    works.forEach((work, index) => end(work, oneAnswer(stalled(work, stock, desk.backoffMs()), index)));
    return;
  }
  const updates: Part[] = [];
  const creates: Part[] = [];
  const alone: Work[] = [];
  const twins = new Set<string>();
  for (const work of works) {
    const need = needOf(work.stock, work.listing, work.listed, work.problem);
    if (need === 'nothing') end(work, notAsked());
    else if (!stock.body.whole) alone.push(work);
    else if (need === 'create') {
      // Two of the same card at the same price may become one product: the second one waits, and finds the first there.
      const twin = work.stock === null ? work.id : `${work.stock.blueprintId}/${work.stock.priceCents}`;
      const found = twins.has(twin) ? again(LOOK_MS) : planCreate(desk, recordOf(work), work, stock.body);
      twins.add(twin);
      if ('send' in found) creates.push(found);
      else end(work, found);
    } else {
      const found = planUpdate(desk, recordOf(work), work, stock.body);
      if (found === undefined) alone.push(work);
      else if ('send' in found) updates.push(found);
      else end(work, found);
    }
  }
  await Promise.all([
    sendJob(desk, 'bulkUpdate', updates, end),
    sendJob(desk, 'bulkCreate', creates, end),
    ...alone.slice(0, ALONE).map(async (work) => settle(work, await carryOut(desk, work))),
  ]);
  for (const work of alone.slice(ALONE)) end(work, again(LOOK_MS));
}

/** Undefined: the export does not show the product, or not as it was confirmed last; one by one that is found out. */
function planUpdate(desk: Desk, record: Record, work: Work, { products, readAt }: WholeStock): Part | Result | undefined {
  const { id, listing, stock } = work;
  const product = products.get(listing.productId);
  if (product === undefined) return undefined;
  record.call('read', { outcome: 'applied', body: null, status: 200, requestId: null, serverDate: null, durationMs: 0 }, { quantity: product.quantity, marker: readUserDataField(product.userDataField).operationId });
  const next = freshPlan(desk, work, product);
  if (next.plan === 'stale') return again(LOOK_MS * 5);
  if (next.plan === 'same') return applied({ listing: seenAs(desk, work, product, readAt, next) });
  if (next.plan !== 'write' || (next.target === 0 && !desk.mayZeroInJobs())) return undefined;
  const change = changeOf(work, next);
  const field = markUserDataField(product.userDataField, id, desk.dataFieldLength);
  const intent: Intent = { productId: product.id, readAt, before: next.before, target: next.target, marked: field !== null, siblings: null, eventId: stock?.eventId ?? null, bulk: true };
  return {
    work,
    record,
    intent,
    quantitySent: change.quantity !== undefined,
    detailsSent: Object.keys(next.details ?? {}).length > 0,
    send: { id: product.id, ...change, ...(field !== null && { userDataField: field }) },
    creates: false,
    applied: (_, at) => listingAfter(desk, work, product, next, { at, marked: field !== null }),
  };
}

/** As CardTrader must show it after a write that the job calls done: its results name no values. */
function listingAfter(desk: Desk, { id, listing }: Work, product: RemoteProduct, { target, details = {}, mismatch: surprise }: Extract<Plan, { plan: 'write' }>, { at, marked }: { at: number; marked: boolean }): Listing {
  const { ownText, operationId } = readUserDataField(product.userDataField);
  return {
    ...listing,
    quantity: target,
    confirmedAt: at,
    operationId: marked ? id : operationId,
    priceCents: details.priceCents ?? product.priceCents,
    currency: product.currency,
    gone: false,
    product: { ...snapshotOf(product, ownText), properties: { ...product.properties, ...details.properties } },
    ...(surprise !== null && { mismatch: mismatch(surprise, desk.clock.now(), listing.quantity, product.quantity, id) }),
  };
}

function planCreate(desk: Desk, record: Record, work: Work, { ofBlueprint, readAt }: WholeStock): Part | Result {
  const product = productOf(work);
  const siblings = ofBlueprint.get(product.blueprintId) ?? [];
  const found = lookBefore(desk, record, work, siblings, readAt);
  if (found !== null) return found;
  const { field, intent } = intentOf(desk, work, product, siblings, readAt);
  const { properties = {}, description = null, graded = null } = product;
  return {
    work,
    record,
    intent: { ...intent, bulk: true },
    quantitySent: true,
    detailsSent: true,
    send: withText(product, field),
    creates: true,
    applied: (productId, at) => ({ ...work.listing, productId, blueprintId: product.blueprintId, quantity: product.quantity, priceCents: product.priceCents, currency: work.stock?.currency ?? work.listing.currency, confirmedAt: at, operationId: work.id, gone: false, product: { name: work.listing.product.name, description, graded, properties, userDataField: work.listing.product.userDataField }, soldLines: [] }),
  };
}

type End = (work: Work, result: Result | null) => void;

async function sendJob(desk: Desk, call: 'bulkUpdate' | 'bulkCreate', planned: readonly Part[], end: End): Promise<void> {
  if (planned.length === 0) return;
  const may = await Promise.all(planned.map(({ work, intent }) => desk.intend(work, intent)));
  const parts = planned.filter((_, index) => may[index] === true);
  for (const { work, creates } of planned.filter((_, index) => may[index] !== true)) end(work, creates ? again(LOOK_MS, { answered: null }) : null); // another product of the card is being listed
  if (parts.length === 0) return;
  faultPoint('sync.before-send');
  const caller = desk.caller();
  const answer = call === 'bulkUpdate' ? await desk.client.bulkUpdate(caller, parts.flatMap(({ send }) => ('id' in send ? [send] : []))) : await desk.client.bulkCreate(caller, parts.flatMap(({ send }) => ('id' in send ? [] : [send])));
  faultPoint('sync.after-response');
  await desk.heard(answer);
  for (const { record, intent } of parts) record.call('write', answer, { quantity: intent.target });
  switch (answer.outcome) {
    case 'throttled':
      return parts.forEach(({ work }) => end(work, again(patienceMs(answer), { answered: null })));
    case 'unknown':
      return parts.forEach(({ work }, index) => end(work, oneAnswer(unknown(desk.quarantineMs), index)));
    case 'refused':
      if (answer.reason === 'token_rejected') return parts.forEach(({ work }) => end(work, again(0, { tokenRejected: true })));
      desk.withoutBulk();
      return parts.forEach(({ work }) => end(work, again(0)));
    case 'applied':
      break;
  }
  const { job } = answer.body;
  await desk.named(parts.map(({ work }) => work), job);
  faultPoint('sync.job-stored');
  const ended = await jobEnd(desk, job, LOOK_MS);
  faultPoint('sync.after-poll');
  if (ended.end !== 'completed') {
    const result = ended.end === 'rejected' ? unknown(0, { answered: true, tokenRejected: true }) : unknown(ended.end === 'given_up' ? 0 : desk.quarantineMs, { answered: null });
    for (const { work, record } of parts) {
      record.note(`job ${job}: ${ended.end}`);
      end(work, result);
    }
    return;
  }
  await settleParts(desk, parts, ended.results, ended.at, end);
}

/** Only one of many tells the circuit of an answer that was lost: it was one. */
const oneAnswer = (result: Result, index: number): Result => (index === 0 || result.answered !== false ? result : { ...result, answered: null });

type JobEnd = { readonly end: 'completed'; readonly results: readonly JobResult[]; readonly at: number } | { readonly end: 'unprocessable' | 'unknown' | 'given_up' | 'too_long' | 'rejected' };

/** Waits for the end of a job. What it says then is all there ever is to hear about it. */
export async function jobEnd(desk: Desk, job: string, firstMs: number): Promise<JobEnd> {
  const begun = desk.clock.monotonic();
  for (let waitMs = firstMs; ; waitMs = 0) {
    if (waitMs > 0) await desk.clock.sleep(waitMs);
    if (!desk.mayGoOn()) return { end: 'given_up' };
    const answer = await desk.job(job);
    await desk.heard(answer);
    if (answer.outcome === 'applied') {
      const { state, results } = answer.body;
      if (state === 'completed') return { end: 'completed', results, at: answer.serverDate ?? desk.clock.now() };
      if (state === 'unprocessable' || state === 'unknown') return { end: state };
    } else if (answer.outcome === 'refused') return { end: answer.reason === 'token_rejected' ? 'rejected' : 'unknown' };
    if (desk.clock.monotonic() - begun > desk.jobPatienceMs) return { end: 'too_long' };
  }
}

async function settleParts(desk: Desk, parts: readonly Part[], results: readonly JobResult[], at: number, end: End): Promise<void> {
  const byPlace = new Map(results.map((result) => [result.index, result]));
  const done: { part: Part; listing: Listing; productId: number; said: string }[] = [];
  for (const [index, part] of parts.entries()) {
    const { work, record } = part;
    const result = byPlace.get(index);
    const said = noticesText(result?.result === 'error' ? result.errors : (result?.warnings ?? []));
    const productId = result?.productId ?? part.intent.productId;
    record.note(`in its job: ${result?.result ?? 'no result'}${said === '' ? '' : `: ${said}`}`);
    if (result === undefined || productId === null || (result.result !== 'ok' && result.result !== 'warning')) end(work, result?.result === 'error' ? failed(desk, part, said) : unknown(0, { answered: true }));
    else done.push({ part, productId, listing: part.applied(productId, at), said: result.result === 'warning' ? said : '' });
  }
  const checked = done.filter(({ part }) => part.quantitySent && !part.creates);
  const since = Math.min(...checked.map(({ part }) => part.intent.readAt)) - STALE_MS - DATE_SLACK_MS;
  const first = checked[0];
  const orders = first === undefined ? undefined : await readOrders(desk, first.part.record, since);
  for (const { part, productId, listing, said } of done) {
    const { work, record, intent } = part;
    const problem = work.stock === null ? {} : said !== '' ? { problem: { kind: 'warning', said, wanted: fingerprintOf(work.stock) } as const } : part.detailsSent ? { problem: null } : {};
    if (part.creates) {
      end(work, created(work, intent, productId, listing, desk.clock.now(), said));
      continue;
    }
    if (!part.quantitySent) {
      end(work, { ...applied({ listing }), ...problem });
      continue;
    }
    const lately = intent.readAt - STALE_MS - DATE_SLACK_MS;
    const still = orders?.outcome === 'applied' && soldSince(soldLines(orders.body.items, work.listing), lately).length === 0;
    const result = still ? applied({ listing, own: intent.target - intent.before }) : await checkSales(desk, record, work, intent, listing, null);
    end(work, result.to === 'APPLIED' ? { ...result, ...problem } : result);
  }
}

function created(work: Work, intent: Intent, productId: number, listing: Listing, now: number, said: string): Result {
  const { blueprintId, quantity, priceCents, currency, product, confirmedAt } = listing;
  const remote: RemoteProduct = { id: productId, blueprintId, quantity, priceCents, currency, userDataField: undefined, properties: product.properties, name: product.name, description: product.description, graded: product.graded, tag: null, bundleSize: null, expansionId: null, gameId: null, categoryId: null, sellerId: null };
  return listedResult(work, intent, remote, confirmedAt, now, said);
}

/** CardTrader refused this one of the job: certainly not done. */
function failed(desk: Pick<Desk, 'withoutZeroInJobs'>, { work, detailsSent, creates, intent }: Part, said: string): Result {
  if (!creates && /not found/i.test(said)) return again(0); // one by one it is found to be gone
  if (!creates && intent.target === 0) {
    desk.withoutZeroInJobs(); // or the next job would have it again, and so on for ever
    return again(0);
  }
  return creates || !detailsSent ? refused('refused', refusedProblem(work, said)) : again(0, refusedProblem(work, said));
}

/** SYNCs that were sent with a job whose end nobody has heard: once it is over, each is looked into, all in one export. */
export async function resumeJob(desk: Desk, job: string, works: readonly Work[], settle: Settle): Promise<void> {
  const ended = await jobEnd(desk, job, 0);
  if (ended.end === 'given_up' || ended.end === 'rejected') {
    for (const work of works) settle(work, { result: unknown(0, { answered: ended.end === 'rejected' ? true : null, tokenRejected: ended.end === 'rejected' }), evidence: [] });
    return;
  }
  await lookIntoMany(desk, ended.end === 'completed' || ended.end === 'unprocessable' ? works.map((work) => ({ work, as: { ...work, jobId: null } })) : works.map((work) => ({ work, as: work })), settle);
}

/** SYNCs whose answers were lost, looked into with one export. */
export async function lookIntoMany(desk: Desk, works: readonly { readonly work: Work; readonly as: Work }[], settle: Settle): Promise<void> {
  const stock = await desk.wholeStock(Number.POSITIVE_INFINITY); // by no clock: ours may be behind CardTrader's, and an export from before the job's end would tell nothing
  const from = stock.outcome === 'applied' && stock.body.whole ? overStock(desk, stock.body) : desk;
  for (const { work, as } of works) settle(work, await carryOut(from, as));
}

/** The same desk, whose reads are answered by an export; what is not in it is asked for. */
function overStock(desk: Desk, { products, ofBlueprint, readAt }: WholeStock): Desk {
  const facts = { outcome: 'applied', status: 200, requestId: null, serverDate: readAt, durationMs: 0 } as const;
  return {
    ...desk,
    client: {
      ...desk.client,
      readProduct: (caller, productId, blueprintId) => {
        const product = products.get(productId);
        return product === undefined ? desk.client.readProduct(caller, productId, blueprintId) : Promise.resolve({ ...facts, body: { product } });
      },
      exportProducts: (caller, filter) => {
        const found = filter?.blueprintId === undefined ? undefined : ofBlueprint.get(filter.blueprintId);
        return found === undefined ? desk.client.exportProducts(caller, filter) : Promise.resolve({ ...facts, body: { items: found, unread: [] } });
      },
    },
  };
}
