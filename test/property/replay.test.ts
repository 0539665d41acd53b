import fc from 'fast-check';
import { expect, test } from 'vitest';
import { askedOffsets, goesOnAt, movesOf, planPartitions, progressOf, undoOffsets, type Standing, type Target } from '../../src/operations/replay/plan.ts';
import { seed } from '../support/seed.ts';

/** Protects: whatever is asked for, a plan stays inside of the partition and adds up, and undo brings back exactly where the group had been. */
const standings = fc
  .array(fc.record({ earliest: fc.nat(1_000), length: fc.nat(1_000), committed: fc.option(fc.nat(3_000)) }), { minLength: 1, maxLength: 5 })
  .map((list) => list.map(({ earliest, length, committed }, partition): Standing => ({ partition, earliest: BigInt(earliest), end: BigInt(earliest + length), committed: committed === null ? null : BigInt(Math.min(committed, earliest + length)) })));
const target = fc.oneof(
  fc.constant<Target>({ to: 'earliest' }),
  fc.nat(3_000).map((offset): Target => ({ to: 'offset', offset: BigInt(offset) })),
  fc.integer({ min: -3_000, max: 3_000 }).map((by): Target => ({ to: 'shift', by: BigInt(by) })),
);

test(`a plan adds up and can be taken back (seed ${seed})`, () => {
  fc.assert(
    fc.property(standings, target, fc.nat(100), (before, wanted, percent) => {
      const planned = planPartitions(wanted, before, askedOffsets(wanted, before, new Map()));
      expect(planned).toHaveLength(before.length);
      planned.forEach(({ to, records, skipped, pending }, index) => {
        const { earliest, end, ...rest } = before[index]!;
        const at = goesOnAt({ earliest, end, ...rest });
        expect(BigInt(to) >= earliest && BigInt(to) <= end).toBe(true);
        expect(BigInt(to) - at).toBe(BigInt(skipped - records));
        expect(Math.min(skipped, records, pending)).toBe(0);
        // Whatever will be read is read again or is pending.
        expect(BigInt(records + pending)).toBe(end - BigInt(to));
      });
      const moves = movesOf(planned);
      const after = before.map((standing, index): Standing => (moves[String(standing.partition)] === undefined ? standing : { ...standing, committed: BigInt(planned[index]!.to) }));
      // The group reads on for a while, and is then taken back.
      const later = after.map((standing): Standing => ({ ...standing, committed: standing.committed === null ? null : standing.committed + ((standing.end - goesOnAt(standing)) * BigInt(percent)) / 100n }));
      const undone = undoOffsets(moves, later);
      for (const [index, standing] of later.entries()) {
        const was = before[index]!;
        const [old] = moves[String(index)] ?? [null];
        if (old === null || was.committed === null) expect(undone.has(index)).toBe(false);
        else {
          const ends = undone.get(index) ?? goesOnAt(standing);
          if (planned[index]!.records > 0) expect(ends >= goesOnAt(was)).toBe(true); // back to where it was, or further by itself
          else expect(ends).toBe(goesOnAt(was)); // what was skipped is read after all
        }
      }
      const { done, of, partitions } = progressOf(moves, later);
      expect(done >= 0 && done <= of).toBe(true);
      expect(of - done).toBe(partitions.reduce((sum, { left }) => sum + left, 0));
    }),
    { seed, numRuns: 2_000 },
  );
});
