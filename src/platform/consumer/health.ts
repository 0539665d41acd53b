import { messageOf } from '../../errors.ts';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface ConsumerHealth {
  /** Does the loop move? Says nothing of databases: restarting this process would not bring them back. */
  live(): Check[];
  /** Can it work right now? */
  ready(): Check[];
}

interface Watched {
  readonly name: string;
  readonly progress: { stillFor(): number };
  readonly ownership: { readonly joined: boolean; readonly assigned: readonly unknown[] };
  readonly hold: { readonly reason: Error | undefined };
}

/** `stillLimitMs`: how long a loop at work may stand still before it counts as dead. */
export function createHealth(consumer: Watched, stillLimitMs: number): ConsumerHealth {
  return {
    live() {
      const still = consumer.progress.stillFor();
      return [{ name: `${consumer.name} loop`, ok: still < stillLimitMs, detail: `last moved ${(still / 1_000).toFixed(1)} s ago (limit ${stillLimitMs / 1_000} s)` }];
    },
    ready() {
      const { name, ownership, hold } = consumer;
      return [
        { name: `${name} group`, ok: ownership.joined, detail: ownership.joined ? `joined, ${ownership.assigned.length} partitions` : 'not joined yet' },
        { name: `${name} waits for nothing`, ok: hold.reason === undefined, detail: hold.reason === undefined ? 'ok' : `waiting: ${hold.reason.message}` },
      ];
    },
  };
}

/** Whether something answers; what it threw is the detail. */
export async function checkAnswers(name: string, ask: () => Promise<void>): Promise<Check> {
  try {
    await ask();
    return { name, ok: true, detail: 'answers' };
  } catch (error) {
    return { name, ok: false, detail: messageOf(error) };
  }
}
