import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Floors, type FloorFacts } from '../../src/outbox/floors.ts';
import { seed } from '../support/seed.ts';

/**
 * Protects: a floor never passes a row that can still appear, whatever order transactions draw ids and commit in. The model is
 * PostgreSQL's: ids and xids are drawn in order, a statement sees what was committed when it began, `xmin` is the lowest xid that
 * ran then. The control arms break one condition each and must be caught, so that the model is known to see it.
 */
interface Rules {
  /** enqueue.sql.ts gives the transaction its xid before the first id. */
  readonly xidFirst: boolean;
  /** What the relay takes for "every xid assigned so far": one of its own, or the highest that has ended (pg_snapshot_xmax). */
  readonly bound: 'own xid' | 'xmax';
  /** Whether the lowest row that is still there holds the floor down. */
  readonly lowest: boolean;
}
const OURS: Rules = { xidFirst: true, bound: 'own xid', lowest: true };

const SHARDS = [0, 1];

type Step = { do: 'begin' } | { do: 'write'; who: number; shard: number } | { do: 'end'; who: number; commit: boolean } | { do: 'publish'; shard: number; rows: number } | { do: 'look' } | { do: 'finish' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'begin' }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('write' as const), who: fc.nat({ max: 5 }), shard: fc.constantFrom(...SHARDS) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('end' as const), who: fc.nat({ max: 5 }), commit: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('publish' as const), shard: fc.constantFrom(...SHARDS), rows: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 3, arbitrary: fc.constant<Step>({ do: 'look' }) },
  { weight: 3, arbitrary: fc.constant<Step>({ do: 'finish' }) },
);

const steps = fc.array(step, { minLength: 20, maxLength: 120, size: 'max' });

interface Writer {
  xid: bigint | undefined;
  /** Drawn, and its row not written yet: a statement of a writer may be anywhere between. */
  drawn: { shard: number; id: bigint }[];
}

/** Plays the steps; answers what went wrong, if anything did. */
function play(played: readonly Step[], rules: Rules): string | undefined {
  const floors = new Floors();
  floors.own(SHARDS);
  const rows = new Map<bigint, number>(); // committed and not published: id → shard
  const running: Writer[] = [];
  let [nextId, nextXid, ended] = [1n, 100n, 99n];
  let look: FloorFacts | undefined;

  const assign = (): bigint => nextXid++;
  const end = (xid: bigint | undefined): void => {
    if (xid !== undefined && xid > ended) ended = xid;
  };
  const lowestOf = (shard: number): bigint | undefined => [...rows].filter(([id, of]) => of === shard && id > floors.floorOf(shard) && id <= floors.candidateOf(shard)).map(([id]) => id).sort(byValue)[0];

  for (const one of played) {
    if (one.do === 'begin' && running.length < 6) running.push({ xid: undefined, drawn: [] });
    else if (one.do === 'write') {
      const writer = running[one.who];
      if (writer === undefined) continue;
      if (rules.xidFirst) writer.xid ??= assign();
      writer.drawn.push({ shard: one.shard, id: nextId++ });
      if (!rules.xidFirst && writer.drawn.length > 1) writer.xid ??= assign(); // as late as at its second row
    } else if (one.do === 'end') {
      const [writer] = running.splice(one.who, 1);
      if (writer === undefined) continue;
      if (writer.drawn.length > 0) writer.xid ??= assign();
      end(writer.xid);
      for (const { shard, id } of one.commit ? writer.drawn : []) {
        if (id <= floors.floorOf(shard)) return `row ${id} appeared below the floor ${floors.floorOf(shard)} of shard ${shard}`;
        rows.set(id, shard);
      }
    } else if (one.do === 'publish') {
      const mine = [...rows].filter(([id, shard]) => shard === one.shard && id > floors.floorOf(shard)).map(([id]) => id).sort(byValue);
      for (const id of mine.slice(0, one.rows)) {
        rows.delete(id);
        floors.published(one.shard, id);
      }
    } else if (one.do === 'look') {
      // The snapshot of the statement; its own xid is assigned a moment later, when others may have gone on ("finish").
      const open = running.flatMap(({ xid }) => (xid === undefined ? [] : [xid]));
      const lowest = new Map(SHARDS.flatMap((shard) => (rules.lowest && lowestOf(shard) !== undefined ? [[shard, lowestOf(shard)!] as const] : [])));
      look = { xmin: open.sort(byValue)[0] ?? ended + 1n, xid: 0n, lowest };
    } else if (one.do === 'finish' && look !== undefined) {
      const xid = rules.bound === 'own xid' ? assign() : ended;
      end(xid);
      floors.advance({ ...look, xid });
      look = undefined;
      for (const [id, shard] of rows) if (id <= floors.floorOf(shard)) return `the floor ${floors.floorOf(shard)} of shard ${shard} passed row ${id}`;
    }
  }
  return undefined;
}

const byValue = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

describe('a floor', () => {
  test(`never passes a row that can still appear (seed ${seed})`, () => {
    fc.assert(
      fc.property(steps, (given) => {
        expect(play(given, OURS)).toBeUndefined();
      }),
      { seed, numRuns: 3_000 },
    );
  });

  test.each<[what: string, rules: Rules]>([
    ['a writer that has its first id before its xid', { ...OURS, xidFirst: false }],
    ['pg_snapshot_xmax instead of an xid of its own', { ...OURS, bound: 'xmax' }],
    ['a floor that does not look what is still there', { ...OURS, lowest: false }],
  ])(`control arm: %s is caught (seed ${seed})`, (_, rules) => {
    const { failed } = fc.check(fc.property(steps, (given) => play(given, rules) === undefined), { seed, numRuns: 3_000 });
    expect(failed).toBe(true);
  });

  test('moves: behind what is published, once everybody who was writing then has ended', () => {
    const floors = new Floors();
    floors.own([3]);
    expect(floors.idle).toBe(true);
    floors.published(3, 7n);
    floors.published(3, 5n);
    floors.published(4, 9n); // not ours
    expect(floors.idle).toBe(false);
    const facts = (xmin: bigint, xid: bigint, lowest: [number, bigint][] = []): FloorFacts => ({ xmin, xid, lowest: new Map(lowest) });
    floors.advance(facts(90n, 100n));
    expect([floors.floorOf(3), floors.candidateOf(3), floors.floorOf(4)]).toEqual([0n, 7n, 0n]);
    floors.published(3, 8n);
    floors.advance(facts(100n, 101n)); // somebody who may have drawn an id below 7 still runs
    expect(floors.floorOf(3)).toBe(0n);
    floors.advance(facts(101n, 102n, [[3, 6n]])); // a row that waits for an operator
    expect([floors.floorOf(3), floors.candidateOf(3)]).toEqual([5n, 8n]);
    floors.advance(facts(103n, 104n));
    expect(floors.floorOf(3)).toBe(8n);
    expect(floors.idle).toBe(true);
    expect(floors.floorOf(4), 'nobody has looked what is still there of it').toBe(0n);
    floors.own([3, 4]);
    expect([floors.floorOf(3), floors.floorOf(4)], 'what was ours stays where it is').toEqual([8n, 0n]);
  });

  test('of a shard that was given away is forgotten, pending or not', () => {
    const floors = new Floors();
    floors.own([1, 2]);
    floors.published(1, 5n);
    floors.published(2, 6n);
    floors.advance({ xmin: 1n, xid: 10n, lowest: new Map() });
    floors.own([2]);
    floors.own([1, 2]);
    floors.advance({ xmin: 20n, xid: 21n, lowest: new Map() });
    expect([floors.floorOf(1), floors.floorOf(2)]).toEqual([0n, 6n]);
  });
});
