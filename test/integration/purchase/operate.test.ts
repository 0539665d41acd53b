import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../../src/platform/clock.ts';
import { createRegistry } from '../../../src/platform/kafka/index.ts';
import { createPurchaseContext, operateSaga, readStory, standing, timeline, type SagaVerb } from '../../../src/purchase/index.ts';
import type { PurchaseRequested } from '../../../src/contract/index.ts';
import { cancellation, line, purchase } from '../../support/events.ts';
import { createMarketplaceWorld, type ListedSeller, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { stockOf } from '../../support/sales.ts';
import { stackUrls } from '../../support/stack.ts';
import { until } from '../../support/wait.ts';

/** Protects: what operators may do to a sale, each written down, refused where it does not fit; and that a sale tells its story (P6). */
let world: MarketplaceWorld;

beforeAll(async () => {
  world = await createMarketplaceWorld();
  await world.startAll();
});
afterAll(() => world.close());

const wants = ({ user, items }: ListedSeller, ...quantities: number[]) => purchase({ user_id: user, lines: quantities.map((quantity, index) => line(items[index]!.itemId, quantity)) });

/** As the command does it. */
function operate(sale: PurchaseRequested, verb: SagaVerb) {
  const context = createPurchaseContext(createRegistry({ url: stackUrls().registryUrl, username: undefined, password: undefined }), { topicPrefix: world.topics.prefix, holdMs: 900_000 });
  return operateSaga({ postgres: world.postgres, clock: systemClock, purchase: context, onRetry: () => undefined }, { userId: sale.user_id, purchaseId: sale.purchase_id }, verb, { who: 'tester', reason: 'a test' });
}

/** A sale whose call was lost, and whose listing somebody changed by hand meanwhile: nothing tells what became of it. */
async function stuck(seller: ListedSeller): Promise<PurchaseRequested> {
  const { productId } = seller.items[0]!;
  world.simulator.control.inject({ kind: 'reset_before_apply', when: { sellerId: seller.sellerId, method: 'PUT' } });
  const sale = wants(seller, 2);
  await world.send(sale);
  await world.reached(['RECONCILING'], sale);
  world.simulator.control.setQuantity(productId, 50);
  await world.reached(['NEEDS_OPERATOR'], sale);
  return sale;
}

const actions = (sale: PurchaseRequested) => world.rows<{ action: string; who: string; reason: string }>('SELECT action, who, reason FROM operator_actions WHERE target = $1 ORDER BY id', sale.purchase_id);

test.concurrent('what cannot be told waits for an operator, with what was seen', async () => {
  const seller = await world.seller(5);
  const sale = await stuck(seller);
  const [operation] = await world.operations(sale.purchase_id);
  expect(operation).toMatchObject({ state: 'NEEDS_OPERATOR', reason: 'unexplained', before: 5, target: 3 });
  expect(operation?.evidence).toEqual(expect.arrayContaining([expect.objectContaining({ call: 'write', outcome: 'unknown' }), expect.objectContaining({ call: 'read', quantity: 50 })]));
  expect(await stockOf(world, seller.user, seller.items[0]!.itemId)).toMatchObject({ on_hand: 5, held: 2 }); // neither sold nor free
  const [story] = await readStory(world.postgres.prisma, sale.purchase_id);
  expect(standing(story!, Date.now())).toMatch(/^Needs an operator: its answer was lost/);
  const words = timeline(story!).map(({ text }) => text);
  expect(words[0]).toBe(`reserved 2 of item ${seller.items[0]!.itemId}`);
  expect(words).toEqual(expect.arrayContaining([expect.stringMatching(/^TAKE writes 3 copies: unknown \(reset\).* ms$/), 'TAKE: looked into: unclear', expect.stringMatching(/^needs an operator:/)]));
});

test.concurrent('resolved as applied: sold', async () => {
  const seller = await world.seller(5);
  const sale = await stuck(seller);
  expect(await operate(sale, { verb: 'resolve', applied: true })).toEqual({ before: 'NEEDS_OPERATOR', after: 'CONFIRMED', facts: ['resumed', 'confirmed'], verdicts: 1 });
  expect(await stockOf(world, seller.user, seller.items[0]!.itemId)).toMatchObject({ on_hand: 3, held: 0 });
  expect(await actions(sale)).toEqual([{ action: 'saga.resolve', who: 'tester', reason: 'a test' }]);
});

test.concurrent('resolved as not applied: undone, and told so', async () => {
  const seller = await world.seller(5);
  const sale = await stuck(seller);
  await operate(sale, { verb: 'resolve', applied: false });
  await world.reached(['COMPENSATED'], sale);
  expect(await stockOf(world, seller.user, seller.items[0]!.itemId)).toMatchObject({ on_hand: 5, held: 0 });
  expect((await world.outcomes()).get(sale.purchase_id)).toMatchObject([{ outcome: 'REJECTED', reason: 'operator' }]);
});

test.concurrent('tried again: looked into once more, and nothing is sent before that', async () => {
  const seller = await world.seller(5);
  const sale = await stuck(seller);
  const writes = world.simulator.control.ledger({ sellerId: seller.sellerId }).length;
  world.simulator.control.setQuantity(seller.items[0]!.productId, 5); // somebody has put it right
  await operate(sale, { verb: 'retry' });
  await world.reached(['CONFIRMED'], sale);
  expect(seller.items[0]!.now()?.quantity).toBe(3);
  expect(world.simulator.control.ledger({ sellerId: seller.sellerId }).length).toBe(writes + 2);
});

test.concurrent('confirmed by hand: what is open counts as done', async () => {
  const seller = await world.seller(5, 4);
  world.simulator.control.inject({ kind: 'error_before_apply', times: 50, when: { sellerId: seller.sellerId, method: 'PUT' } });
  const sale = wants(seller, 1, 1);
  await world.send(sale);
  await world.reached(['RECONCILING'], sale);
  await world.simulator.control.idle();
  let result: Awaited<ReturnType<typeof operate>> | undefined;
  for (let tries = 0; result === undefined && tries < 200; tries += 1) {
    result = await operate(sale, { verb: 'confirm' }).catch((error: unknown) => {
      expect(String(error)).toContain('is under way'); // a call of the dispatcher's stands between; it is over in a moment
      return undefined;
    });
  }
  expect(result).toMatchObject({ after: 'CONFIRMED' });
  expect(await stockOf(world, seller.user, seller.items[0]!.itemId)).toMatchObject({ on_hand: 4, held: 0 });
  expect(await actions(sale)).toEqual([{ action: 'saga.confirm', who: 'tester', reason: 'a test' }]);
});

test.concurrent('a confirmed sale is undone on both sides', async () => {
  const seller = await world.seller(5);
  const sale = wants(seller, 2);
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  expect(await operate(sale, { verb: 'compensate' })).toMatchObject({ before: 'CONFIRMED', after: 'COMPENSATING' });
  await world.reached(['COMPENSATED'], sale);
  expect(seller.items[0]!.now()?.quantity).toBe(5);
  expect((await world.outcomes()).get(sale.purchase_id)?.map(({ outcome, reason }) => [outcome, reason])).toEqual([['CONFIRMED', null], ['CANCELLED', 'operator']]);
});

test.concurrent('a cancellation that comes while an operator is needed is carried out afterwards', async () => {
  const seller = await world.seller(5);
  const sale = await stuck(seller);
  await world.send(cancellation(sale));
  await until('the cancellation is noted', async () => (await world.facts(sale)).includes('cancel_noted'));
  await expect(operate(sale, { verb: 'confirm' })).rejects.toThrow(/a cancellation of it waits/);
  await operate(sale, { verb: 'resolve', applied: true });
  await world.reached(['COMPENSATED'], sale);
  expect(seller.items[0]!.now()?.quantity).toBe(52); // 50, and the 2 that were said to be taken
});

test.concurrent('verbs that do not fit are refused, and say what to do', async () => {
  const seller = await world.seller(5);
  const sale = wants(seller, 1);
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  await expect(operate(sale, { verb: 'retry' })).rejects.toMatchObject({ code: 'BRX_REFUSED', message: expect.stringContaining('it has ended') as string, remedy: expect.stringContaining('compensate') as string });
  await expect(operate(sale, { verb: 'confirm' })).rejects.toThrow(/only a sale that has called CardTrader/);
  await expect(operate(sale, { verb: 'resolve', applied: true })).rejects.toThrow(/does not need an operator/);
  await expect(operate(purchase({ user_id: seller.user }), { verb: 'retry' })).rejects.toThrow(/there is no purchase/);
  const needy = await stuck(await world.seller(5));
  await expect(operate(needy, { verb: 'compensate' })).rejects.toMatchObject({ message: expect.stringContaining('is not known') as string, remedy: expect.stringContaining('saga resolve') as string });
  await expect(operate(needy, { verb: 'resolve', applied: true, operations: [sale.purchase_id] })).rejects.toThrow(/is not an operation of it/);
  expect(await actions(sale)).toEqual([]);
  expect(await actions(needy)).toEqual([]);
});
