/**
 * From which id on the relay looks for rows, by shard. Only a hint: 0 is always right, a higher floor spares walking over the rows
 * deleted below it, which vacuum cannot remove while somebody holds an old snapshot (24,000 instead of 87,000 rows a second and
 * growing; outbox-and-saga.md 1.5). Pure; the statement is `readFloorFacts`.
 *
 * A floor must never pass a row that can still appear. Ids are drawn in order but committed in any: with 7 published, 6 may be
 * in a transaction that is still open. So a floor moves in two steps:
 *
 *   published up to 7 ──► `candidate` 7, and the xid X that a transaction gets at this moment
 *   later, in a snapshot in which every transaction up to X has ended (xmin > X): whoever drew an id below 7 did so before 7 was
 *   drawn, had its xid before that (enqueue.sql.ts), so below X, and has ended: its row is visible now or never will be.
 *   The floor goes to 7, or to just below the lowest row that is still there.
 */
export interface FloorFacts {
  /** Lowest xid that may still be running, in the snapshot that read `lowest`. */
  readonly xmin: bigint;
  /** An xid assigned by the statement itself: above every one assigned before. */
  readonly xid: bigint;
  /** By shard: the lowest id above the floor and up to the candidate that is still there. */
  readonly lowest: ReadonlyMap<number, bigint>;
}

export class Floors {
  readonly #floors = new Map<number, bigint>();
  readonly #published = new Map<number, bigint>();
  #pending: { xid: bigint; candidates: ReadonlyMap<number, bigint> } | undefined;

  /** Shards that are ours from now on: new ones start at 0, what is ours no longer is forgotten. */
  own(shards: Iterable<number>): void {
    const owned = new Set(shards);
    for (const known of this.#floors.keys()) {
      if (owned.has(known)) continue;
      this.#floors.delete(known);
      this.#published.delete(known);
    }
    for (const shard of owned) if (!this.#floors.has(shard)) this.#floors.set(shard, 0n);
    if (this.#pending !== undefined) this.#pending = { xid: this.#pending.xid, candidates: new Map([...this.#pending.candidates].filter(([shard]) => owned.has(shard))) };
  }

  floorOf(shard: number): bigint {
    return this.#floors.get(shard) ?? 0n;
  }

  /** What `advance` needs to be asked about; 0 where there is nothing. */
  candidateOf(shard: number): bigint {
    return this.#pending?.candidates.get(shard) ?? 0n;
  }

  published(shard: number, id: bigint): void {
    const known = this.#published.get(shard);
    if (this.#floors.has(shard) && (known === undefined || id > known)) this.#published.set(shard, id);
  }

  /** Whether asking for facts can lead to anything. */
  get idle(): boolean {
    return this.#pending === undefined && this.#published.size === 0;
  }

  advance(facts: FloorFacts): void {
    if (this.#pending !== undefined && facts.xmin > this.#pending.xid) {
      for (const [shard, candidate] of this.#pending.candidates) {
        const lowest = facts.lowest.get(shard);
        const floor = lowest === undefined ? candidate : lowest - 1n;
        if (floor > this.floorOf(shard)) this.#floors.set(shard, floor);
      }
      this.#pending = undefined;
    }
    if (this.#pending === undefined && this.#published.size > 0) {
      this.#pending = { xid: facts.xid, candidates: new Map(this.#published) };
      this.#published.clear();
    }
  }
}
