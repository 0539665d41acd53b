import { afterEach, describe, expect, test, vi } from 'vitest';
import { createLogger, silentLogger, type LogConfig, type Logger } from '../../src/platform/log.ts';

/** Logs go where logs go, machines can read them, and no secret is in them. */
afterEach(() => vi.restoreAllMocks());

function logged(config: Partial<LogConfig>, write: (logger: Logger) => void, bindings?: Record<string, unknown>): Record<string, unknown>[] {
  const lines: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => lines.push(String(chunk)) > 0);
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  write(createLogger({ level: 'info', format: 'json', ...config }, bindings));
  expect(out).not.toHaveBeenCalled(); // stdout belongs to what a command answers
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('a line', () => {
  test('is one JSON object with the level as a word, the time in ISO and what was bound, and nothing else', () => {
    const [line] = logged({}, (logger) => logger.info({ chunk: 7 }, 'committed'), { pid: 1 });
    expect(line).toEqual({ level: 'info', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string, pid: 1, chunk: 7, msg: 'committed' });
  });

  test('is written from its level on; silent writes none', () => {
    const all = (logger: Logger): void => {
      logger.debug('d');
      logger.info('i');
      logger.warn('w');
      logger.fatal('f');
    };
    expect(logged({ level: 'warn' }, all).map((line) => line['msg'])).toEqual(['w', 'f']);
    expect(logged({ level: 'silent' }, all)).toEqual([]);
    expect(() => all(silentLogger)).not.toThrow();
  });

  test('holds an error with its stack', () => {
    const [line] = logged({}, (logger) => logger.error({ err: new TypeError('x is no y') }, 'failed'));
    expect(line?.['err']).toMatchObject({ type: 'TypeError', message: 'x is no y', stack: expect.stringContaining('log.test') as string });
  });
});

describe('secrets', () => {
  const hush = 'hush-hush-0815';

  test.each(['password', 'token', 'secret', 'authorization', 'sasl', 'connectionString', 'databaseUrl'])('%s is never printed, at the top or two levels down', (name) => {
    const lines = logged({}, (logger) => {
      logger.info({ [name]: hush }, 'top');
      logger.info({ config: { [name]: hush, host: 'h' } }, 'one down');
      logger.info({ config: { kafka: { [name]: hush } } }, 'two down');
      logger.child({ [name]: hush }).info('bound');
      logger.error({ err: Object.assign(new Error('failed'), { [name]: hush }) }, 'on an error');
    });
    expect(lines).toHaveLength(5);
    expect(JSON.stringify(lines)).not.toContain(hush);
    expect(lines[1]).toMatchObject({ config: { [name]: '[secret]', host: 'h' } });
  });
});
