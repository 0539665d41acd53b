import { unresolved, type LineRecord, type OrderRecord } from './ledger.ts';

/** What support reads out on the phone. Pure. */
export function lineWords(line: LineRecord): string {
  const { quantity, cancelled, relisted, kept, taken, returned, counting, itemId } = line;
  const parts = [`${quantity} sold`];
  if (cancelled > 0) parts.push(`${cancelled} called off`);
  if (relisted > 0) parts.push(`${relisted} on sale again`);
  if (kept > 0) parts.push(`${kept} not on sale again`);
  if (unresolved(line) > 0) parts.push(`${unresolved(line)} perhaps on sale again`);
  parts.push(itemId === null ? 'tied to nothing here, so stock is not changed' : effectWords(counting, taken, returned));
  return parts.join(', ');
}

function effectWords(counting: LineRecord['counting'], taken: number, returned: number): string {
  const moved = [...(taken > 0 ? [`${taken} taken out of stock`] : []), ...(returned > 0 ? [`${returned} put back`] : [])].join(', ');
  switch (counting) {
    case 'sold':
      return moved === '' ? 'stock not changed' : moved;
    case 'merged':
      return moved === '' ? 'counted in the order that sold it first' : `counted in the order that sold it first; ${moved}`;
    case 'before':
      return moved === '' ? 'sold before the account was taken on, so stock lacks it already' : `sold before the account was taken on; ${moved}`;
    case 'undecided':
      return 'stock not changed, because nobody here knows the order’s state';
  }
}

/** What somebody can do about an order, a line each; none: nothing is open. */
export function orderAdvice(userId: string, { orderId, state, lines }: OrderRecord): string[] {
  const advice: string[] = [];
  const open = lines.filter((line) => unresolved(line) > 0 && line.itemId !== null);
  for (const { lineId } of open) advice.push(`look on CardTrader whether it is on sale again, and say so: brx-sync orders resolve ${userId} ${orderId} ${lineId} --relisted (or --kept) --reason "..."`);
  if (lines.some(({ itemId }) => itemId === null)) advice.push('tie the product to an item: write the item’s id into its user_data_field on CardTrader, then brx-sync listings link; the next poll takes its copies');
  if (state === 'unreadable') advice.push('CardTrader’s answer could not be read, or not be kept; it is tried again at each poll, and the log says why');
  return advice;
}
