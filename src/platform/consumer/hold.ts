import type { BrxError } from '../../errors.ts';
import type { Clock } from '../clock.ts';

/**
 * Waiting for something that is away, without leaving the group and without an exception: the partition is paused, kafkajs goes
 * on with its heartbeats, and once the missing part answers again every paused partition is resumed and re-reads from its last
 * committed offset.
 *
 *   open ──hold()──► holding ──(probe answers)──► open
 *                       └──(probe fails: wait longer, at most MAX_WAIT_MS)──┘
 */
export class Hold {
  readonly #deps: HoldDeps;
  readonly #resumes: (() => void)[] = [];
  readonly #stop = new AbortController();
  /** By partition, in a row: that others get on says nothing of the one that does not, and while it fails again the others wait for its fetch. */
  readonly #failures = new Map<number, number>();
  #running: Promise<void> | undefined;
  #reason: BrxError | undefined;

  constructor(deps: HoldDeps) {
    this.#deps = deps;
  }

  /** Why partitions are held, if any are. */
  get reason(): BrxError | undefined {
    return this.#reason;
  }

  /** Takes a paused partition; `resume` is called when it may go on. */
  hold(error: BrxError, partition: number, resume: () => void): void {
    this.#resumes.push(resume);
    this.#reason = error;
    const failures = (this.#failures.get(partition) ?? 0) + 1;
    this.#failures.set(partition, failures);
    this.#deps.onHeld(error);
    this.#running ??= this.#recover(failures);
  }

  /** A chunk of it has been committed: its next trouble starts with short waits again. */
  succeeded(partition: number): void {
    this.#failures.delete(partition);
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopping'));
    await this.#running;
  }

  async #recover(failures: number): Promise<void> {
    const { clock, probe } = this.#deps;
    for (let attempt = failures; !this.#stop.signal.aborted; attempt += 1) {
      const wait = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt, 10));
      try {
        await clock.sleep(wait * (0.5 + clock.random() / 2), this.#stop.signal);
      } catch {
        return; // stopping: the partitions stay paused, and the consumer is about to leave
      }
      if (this.#reason !== undefined && (await probe(this.#reason))) break;
    }
    this.#running = undefined;
    this.#reason = undefined;
    for (const resume of this.#resumes.splice(0)) resume();
    this.#deps.onResumed();
  }
}

export interface HoldDeps {
  readonly clock: Clock;
  /** Whether what was away answers again; must not throw. */
  readonly probe: (error: BrxError) => Promise<boolean>;
  readonly onHeld: (error: BrxError) => void;
  readonly onResumed: () => void;
}

const FIRST_WAIT_MS = 125;
const MAX_WAIT_MS = 5_000;
