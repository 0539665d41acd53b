export interface TogetherLimits<In> {
  /** Most of one batch, by `weigh`; asked each time one is made. Something heavier goes alone. */
  readonly most?: number | (() => number);
  /** What an item counts; 1. */
  readonly weigh?: (item: In) => number;
  /** Batches under way at once; 1. */
  readonly parallel?: number;
}

interface Waiting<In, Out> {
  readonly item: In;
  readonly resolve: (value: Out) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Does together what is asked for at about the same time, as a database commits a group: what comes up while as many batches are under way as may be
 * makes the next. So a lone request waits for nobody, and many share one transaction, or one call.
 */
export class Together<In, Out> {
  readonly #run: (items: readonly In[]) => Promise<readonly Out[]>;
  readonly #most: () => number;
  readonly #weigh: (item: In) => number;
  readonly #parallel: number;
  readonly #waiting: Waiting<In, Out>[] = [];
  #running = 0;

  /** `run` answers for each item, in order; if it throws, all of the batch fail with that. */
  constructor(run: (items: readonly In[]) => Promise<readonly Out[]>, { most = Number.POSITIVE_INFINITY, weigh = () => 1, parallel = 1 }: TogetherLimits<In> = {}) {
    this.#run = run;
    this.#most = typeof most === 'number' ? () => most : most;
    this.#weigh = weigh;
    this.#parallel = parallel;
  }

  /** The answer for this item, of a run that begins after this call. */
  do(item: In): Promise<Out> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#running >= this.#parallel) return;
      this.#running += 1;
      setImmediate(() => void this.#work()); // with whatever else comes up in this turn
    });
  }

  /** Answers everything that waits with this; what is under way ends as it would. */
  answerWaiting(answer: Out): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve(answer);
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#take();
      try {
        const answers = await this.#run(batch.map(({ item }) => item));
        if (answers.length !== batch.length) throw new Error(`${batch.length} items were to be answered, ${answers.length} were`);
        batch.forEach(({ resolve }, index) => resolve(answers[index] as Out));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#running -= 1;
  }

  #take(): Waiting<In, Out>[] {
    const most = this.#most();
    let weight = 0;
    const beyond = this.#waiting.findIndex(({ item }, index) => {
      weight += this.#weigh(item);
      return index > 0 && weight > most;
    });
    return this.#waiting.splice(0, beyond === -1 ? this.#waiting.length : beyond);
  }
}

/**
 * Does what it is handed one after the other, in the order it was asked: all who share it want one connection of a database between them. Each gets its own
 * answer, or its own failure.
 */
export function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  const together = new Together<() => Promise<unknown>, unknown>(async ([work]) => [await work?.()], { most: 1 });
  return <T>(work: () => Promise<T>) => together.do(work) as Promise<T>;
}
