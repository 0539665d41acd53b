/**
 * The three classes of failure, in one place (DESIGN section "failure classes"):
 *
 * - a bad message is a *value* (src/ingest/outcome.ts), never an exception;
 * - broken infrastructure is a BrxError with `retryable: true`: whoever waits for it backs off and tries again;
 * - everything else stops the process loudly: a BrxError with `retryable: false`, or any foreign exception.
 */

/** Every code this program can end with. `exit` is the process exit code (sysexits where one fits). */
export const ERROR_CODES = {
  BRX_CONFIG: { exit: 78, retryable: false, meaning: 'the environment does not describe a runnable configuration' },
  BRX_USAGE: { exit: 2, retryable: false, meaning: 'a command was called with arguments it cannot take' },
  BRX_BAD_FILE: { exit: 65, retryable: false, meaning: 'a file holds something that is not what it should hold' },
  BRX_CONTRACT: { exit: 65, retryable: false, meaning: 'a record or a schema breaks the contract' },
  BRX_REFUSED: { exit: 4, retryable: false, meaning: 'doing it would lose data or order, so it was not done' },
  BRX_DIFFERENT: { exit: 1, retryable: false, meaning: 'what is there is not what should be there' },
  BRX_KAFKA_UNAVAILABLE: { exit: 69, retryable: true, meaning: 'Kafka does not answer' },
  BRX_KAFKA_REFUSED: { exit: 65, retryable: false, meaning: 'Kafka refuses a record for good' },
  BRX_KAFKA_FATAL: { exit: 70, retryable: false, meaning: 'the Kafka consumer died for good' },
  BRX_REGISTRY_UNAVAILABLE: { exit: 69, retryable: true, meaning: 'the schema registry does not answer' },
  BRX_DATABASE_UNAVAILABLE: { exit: 69, retryable: true, meaning: 'PostgreSQL does not answer' },
  BRX_DATABASE_CONFLICT: { exit: 75, retryable: true, meaning: 'transactions kept getting in each other’s way' },
  BRX_DATABASE_TIMEOUT: { exit: 75, retryable: true, meaning: 'a transaction or statement took longer than it may' },
  BRX_DATABASE_SCHEMA: { exit: 70, retryable: false, meaning: 'the database is not migrated to what this version needs' },
  BRX_MIGRATION: { exit: 1, retryable: false, meaning: 'a migration failed or was changed after it had been applied' },
  BRX_REDIS_UNAVAILABLE: { exit: 69, retryable: true, meaning: 'Redis does not answer' },
  BRX_MYSQL_UNAVAILABLE: { exit: 69, retryable: true, meaning: 'MySQL does not answer' },
  BRX_MYSQL_TIMEOUT: { exit: 75, retryable: true, meaning: 'MySQL took longer than it may' },
  BRX_MYSQL_REFUSED: { exit: 70, retryable: false, meaning: 'MySQL refuses access, or lacks the tables of the catalogue' },
  BRX_MARKETPLACE_UNAVAILABLE: { exit: 69, retryable: true, meaning: 'CardTrader gives no usable answer' },
  BRX_SECRET: { exit: 78, retryable: false, meaning: 'a stored secret does not open with the keys at hand' },
  BRX_OUTBOX_FULL: { exit: 75, retryable: true, meaning: 'so much waits to be published that nothing more is taken in' },
  BRX_STOP_TIMEOUT: { exit: 1, retryable: false, meaning: 'the stop took longer than its deadline' },
  BRX_TOO_MANY_PARKED: { exit: 70, retryable: false, meaning: 'so many users are parked that the fault must be ours' },
  BRX_STACK: { exit: 69, retryable: false, meaning: 'the local services could not be found, started or stopped' },
  BRX_INTERNAL: { exit: 70, retryable: false, meaning: 'a state this program believes impossible' },
} as const satisfies Record<string, { exit: number; retryable: boolean; meaning: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** An error of ours: what happened (`message`), what to do about it (`remedy`), and whether waiting can help. */
export class BrxError extends Error {
  override readonly name = 'BrxError';
  readonly code: ErrorCode;
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; remedy?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy;
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  get exitCode(): number {
    return ERROR_CODES[this.code].exit;
  }
}

/** Text of anything thrown, without assuming that it is an Error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
