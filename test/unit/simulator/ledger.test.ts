import { describe, expect, test } from 'vitest';
import { Ledger, markerOf, operationOf } from '../../../src/simulator/ledger.ts';
import { anyNumber, openSimulator } from '../../support/simulator.ts';

/** Protects: the ledger knows how often each operation took effect, by header and by marker, and what it did to which quantity. */
const OPERATION = '0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f';
const OTHER = '0197a3c2-5b1e-7c3d-9f00-000000000001';
const MARKED = `item-7 brx:${OPERATION}`;

describe('an operation', () => {
  test('that was not sent has no effect', async () => {
    const { control } = await openSimulator();
    expect(control.effects(OPERATION)).toBe(0);
  });

  test('is known by the header alone, which is all a DELETE can carry', async () => {
    const { api, control, first, sellerId, clock } = await openSimulator();
    const { id, quantity } = first();
    await api('DELETE', `/products/${id}`, undefined, { headers: { 'x-request-id': OPERATION.toUpperCase() } });
    expect(control.effects(OPERATION)).toBe(1);
    expect(control.ledger({ operationId: OPERATION })).toEqual([
      { sequence: 1, at: clock.now(), sellerId, productId: id, verb: 'delete', source: 'api', before: quantity, after: null, operationId: OPERATION, marker: null, jobId: null, orderId: null, answered: true },
    ]);
  });

  test('is known by the marker alone; by both it counts once', async () => {
    const { api, control, first } = await openSimulator();
    await api('PUT', `/products/${first().id}`, { quantity: 1, user_data_field: MARKED });
    expect(control.effects(OPERATION)).toBe(1);
    await api('PUT', `/products/${first().id}`, { quantity: 1, user_data_field: `item-7 brx:${OTHER}` }, { headers: { 'x-request-id': OTHER } });
    expect(control.effects(OTHER)).toBe(1);
    expect(control.repeated()).toEqual([]);
  });

  test('applied twice counts twice, even if the second time changed nothing', async () => {
    const { api, control, first } = await openSimulator();
    for (let n = 0; n < 2; n += 1) await api('PUT', `/products/${first().id}`, { quantity: 1, user_data_field: MARKED });
    expect(control.effects(OPERATION)).toBe(2);
    expect(control.repeated()).toEqual([{ operationId: OPERATION, times: 2 }]);
  });

  test('that was refused has no effect', async () => {
    const { api, control, first } = await openSimulator();
    const headers = { 'x-request-id': OPERATION };
    await api('PUT', `/products/${first().id}`, { quantity: -1, user_data_field: MARKED }, { headers });
    await api('PUT', '/products/1', { quantity: 1 }, { headers });
    await api('POST', '/products', {}, { headers });
    expect([control.effects(OPERATION), control.ledger()]).toEqual([0, []]);
  });

  test('a write that keeps the marker of an earlier one is not an effect of it', async () => {
    const { api, control, first } = await openSimulator();
    await api('PUT', `/products/${first().id}`, { quantity: 1, user_data_field: MARKED });
    await api('PUT', `/products/${first().id}`, { quantity: 2 });
    expect(control.effects(OPERATION)).toBe(1);
    expect(first().userData).toBe(MARKED);
  });

  test('verbs, quantities before and after', async () => {
    const { api, control, first, sellerId } = await openSimulator();
    const { id, blueprint } = control.setQuantity(first().id, 5);
    const made = (await api('POST', '/products', { blueprint_id: blueprint.id, price: 77, quantity: 2 })).resource.id;
    await api('POST', '/products', { blueprint_id: blueprint.id, price: 77, quantity: 2 });
    await api('PUT', `/products/${id}`, { quantity: 4 });
    await api('POST', `/products/${id}/increment`, { delta_quantity: -1 });
    control.sell({ sellerId, productId: id, quantity: 2 });
    await api('POST', `/products/${id}/increment`, { delta_quantity: -1 });
    await api('DELETE', `/products/${made}`);
    expect(control.ledger({ sellerId }).map(({ verb, source, productId, before, after }) => [verb, source, productId, before, after])).toEqual([
      ['set', 'control', id, anyNumber, 5],
      ['create', 'api', made, null, 2],
      ['merge', 'api', made, 2, 4],
      ['update', 'api', id, 5, 4],
      ['increment', 'api', id, 4, 3],
      ['sale', 'order', id, 3, 1],
      ['increment', 'api', id, 1, null],
      ['delete', 'api', made, 4, null],
    ]);
    expect(control.ledger({ productId: made, verb: 'merge' })).toHaveLength(1);
  });

  test('quantities of a product chain: what one leaves the next finds', async () => {
    const { api, control, first, sellerId } = await openSimulator();
    const { id } = first();
    for (const quantity of [3, 9, 4]) {
      await api('PUT', `/products/${id}`, { quantity });
      control.sell({ sellerId, productId: id });
    }
    const effects = control.ledger({ productId: id });
    for (const [index, effect] of effects.slice(1).entries()) expect(effect.before).toBe(effects[index]!.after);
    expect(effects.at(-1)!.after).toBe(first().quantity);
  });
});

describe('what names an operation', () => {
  test('only a marker at the end, after the seller’s own text', () => {
    expect(markerOf(MARKED)).toBe(OPERATION);
    expect(markerOf(`a b  brx:${OPERATION.toUpperCase()}`)).toBe(OPERATION);
    for (const text of [`brx:${OPERATION}`, `item brx:${OPERATION} more`, `itembrx:${OPERATION}`, 'item brx:12', '', null, 7]) expect(markerOf(text)).toBeNull();
  });

  test('only a header that is one UUID', () => {
    expect(operationOf(OPERATION)).toBe(OPERATION);
    for (const header of [undefined, '', 'abc', [OPERATION, OTHER], `${OPERATION}x`]) expect(operationOf(header)).toBeNull();
  });
});

test('the ledger forgets the oldest half once a million effects are kept, and says so', () => {
  const ledger = new Ledger();
  const effect = { at: 0, sellerId: 1, productId: 1, verb: 'update', source: 'api', before: 1, after: 1, operationId: null, marker: null, jobId: null, orderId: null, answered: true } as const;
  ledger.add({ ...effect, operationId: OPERATION });
  for (let n = 0; n < 1_000_000; n += 1) ledger.add(effect);
  expect([ledger.forgotten, ledger.size, ledger.list().length, ledger.count(OPERATION)]).toEqual([500_000, 1_000_001, 500_001, 0]);
});
