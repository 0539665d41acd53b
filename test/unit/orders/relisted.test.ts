import { describe, expect, test } from 'vitest';
import type { LineRecord } from '../../../src/orders/ledger.ts';
import { relistedOf, type Count, type Relisted } from '../../../src/orders/relisted.ts';
import { ITEM, NOW } from '../../support/orders.ts';

/** Protects: only copies that are certainly on sale again come back. */
const SETTLE = 60_000;
const MINUTE = 60_000;
const T0 = NOW;

const line = (given: Partial<LineRecord> = {}): LineRecord => ({ lineId: 1, productId: 301, blueprintId: 10, itemId: ITEM, name: null, counting: 'sold', quantity: 1, cancelled: 0, relisted: 0, kept: 0, taken: 1, returned: 0, soldAt: T0 + MINUTE, cancelledAt: null, ...given });
const off = (given: Partial<LineRecord> = {}): LineRecord => line({ cancelled: given.quantity ?? 1, cancelledAt: T0 + 2 * MINUTE, ...given });
const count = (given: Partial<Count> = {}): Count => ({ found: 5, at: T0 + 10 * MINUTE, confirmed: 5, confirmedAt: T0, soldLines: [], busy: false, ...given });

describe('confirmed as 5', () => {
  test.each<[what: string, given: Partial<Count>, lines: LineRecord[], answer: Relisted]>([
    ['one sold and called off, 5 there', {}, [off()], 'all'],
    ['one sold and called off, 4 there', { found: 4 }, [off()], 'none'],
    ['one more sold since', { found: 4 }, [off(), line({ lineId: 2 })], 'all'],
    ['one more sold since, and the other not on sale again', { found: 3 }, [off(), line({ lineId: 2 })], 'none'],
    ['the sale is in the number that was confirmed', { confirmed: 4, soldLines: [1] }, [off()], 'all'],
    ['another came back before', {}, [off(), off({ lineId: 2, relisted: 1 })], 'all'],
    ['another did not', { found: 4 }, [off(), off({ lineId: 2, kept: 1 })], 'all'],
    ['two called off, one there: whose?', { found: 4 }, [off(), off({ lineId: 2 })], 'unclear'],
    ['two called off, both there', {}, [off(), off({ lineId: 2 })], 'all'],
    ['two called off, none there', { found: 3 }, [off(), off({ lineId: 2 })], 'none'],
    ['more there than there can be: somebody changed it by hand', { found: 7 }, [off()], 'unclear'],
    ['fewer than there can be', { found: 1 }, [off()], 'unclear'],
    ['the last copy, listed anew', { confirmed: 1, found: 1 }, [off()], 'all'],
    ['the last copy, gone', { confirmed: 1, found: 0 }, [off()], 'none'],
    ['a merged order: its sale is another line', {}, [line({ lineId: 2 }), off({ counting: 'merged' })], 'all'],
    ['sold long before, called off now', { confirmed: 4 }, [off({ soldAt: T0 - MINUTE })], 'all'],
    ['called off before the listing was confirmed: it may be in that number', {}, [off({ soldAt: T0 - 2 * MINUTE, cancelledAt: T0 - MINUTE })], 'unclear'],
    ['sold in the very second of the confirmation', {}, [off({ soldAt: T0 + 500 })], 'unclear'],
    ['nobody says when it was sold', {}, [off({ soldAt: null })], 'unclear'],
    ['an operation is at work', { busy: true }, [off()], 'wait'],
    ['called off a moment ago: the export may be older', { at: T0 + 3 * MINUTE }, [off()], 'wait'],
    ['another sold a moment ago', { found: 4 }, [off(), line({ lineId: 2, soldAt: T0 + 10 * MINUTE - 1 })], 'wait'],
    ['confirmed a moment ago', { confirmedAt: T0 + 9.5 * MINUTE }, [off()], 'wait'],
  ])('%s: %s', (_, given, lines, answer) => expect(relistedOf(count(given), lines, SETTLE)).toBe(answer));
});
