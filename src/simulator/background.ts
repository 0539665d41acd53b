/** What goes on after a request is over: late effects, jobs. Ends with the simulator. */
export class Background {
  readonly #running = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #onFailure: (error: unknown) => void;
  #failure: { error: unknown } | undefined;

  constructor(onFailure: (error: unknown) => void = () => undefined) {
    this.#onFailure = onFailure;
  }

  /** For sleeps: aborted when the simulator closes. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get size(): number {
    return this.#running.size;
  }

  run(work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => this.fail(error))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Something that must not happen did. What a stop interrupts is no failure. */
  fail(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#failure ??= { error };
    this.#onFailure(error);
  }

  /** Resolves once nothing goes on; throws what went wrong in it. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** What still waits is given up. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the simulator closes'));
    await this.idle();
  }
}
