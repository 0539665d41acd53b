import { pino, type Logger as PinoLogger } from 'pino';
import { PassThrough } from 'node:stream';
import pretty from 'pino-pretty';

export type Logger = PinoLogger;

export interface LogConfig {
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** `auto`: pretty on a terminal, JSON otherwise. */
  format: 'auto' | 'json' | 'pretty';
}

/** Names under which a secret could travel; whatever stands there is never printed. */
const REDACT = ['password', 'token', 'secret', 'authorization', 'sasl', 'connectionString', 'databaseUrl'];

/** Logs go to stderr: stdout belongs to what a command answers. */
export function createLogger(config: LogConfig, bindings: Record<string, unknown> = {}): Logger {
  const usePretty = config.format === 'pretty' || (config.format === 'auto' && process.stderr.isTTY);
  const options = {
    level: config.level,
    base: bindings,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: REDACT.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[secret]' },
  };
  if (!usePretty) return pino(options, process.stderr);
  const stream = pretty({ colorize: process.stderr.isTTY, destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l' });
  return pino(options, stream);
}

/** A logger that writes nowhere; for tests and one-shot commands. */
export const silentLogger: Logger = pino({ level: 'silent' }, new PassThrough());
