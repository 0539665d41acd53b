/** Who buys never leaves by HTTP: what a record says is shown without it, and what comes back corrected is given it again. */
export const HIDDEN = '(not shown)';

export function hideBuyer(value: unknown): unknown {
  return isBought(value) ? { ...value, buyer_id: HIDDEN } : value;
}

export function giveBuyerBack(value: Readonly<Record<string, unknown>>, original: unknown): Readonly<Record<string, unknown>> {
  return value['buyer_id'] === HIDDEN && isBought(original) ? { ...value, buyer_id: original.buyer_id } : value;
}

const isBought = (value: unknown): value is { buyer_id: string } => typeof value === 'object' && value !== null && 'buyer_id' in value && typeof value.buyer_id === 'string';
