import { expect, test } from 'vitest';
import { startAll, stopAll, type Service } from '../../src/platform/service.ts';

/** Order of start and stop: what is used is there before and after whoever uses it, also when something fails. */
function services(calls: string[], failing: Record<string, string> = {}): Service[] {
  return ['database', 'http', 'consumer'].map((name) => {
    const call = (what: string) => (): Promise<void> => {
      calls.push(`${what} ${name}`);
      return failing[`${what} ${name}`] === undefined ? Promise.resolve() : Promise.reject(new Error(failing[`${what} ${name}`]));
    };
    return { name, start: call('start'), stop: call('stop') };
  });
}

test('starts in order, one after the other, and stops in reverse', async () => {
  const calls: string[] = [];
  const [first, ...rest] = services(calls);
  let release = (): void => undefined;
  const slow: Service = { ...first!, start: () => new Promise((resolve) => (release = () => resolve(first!.start()))) };
  const starting = startAll([slow, ...rest]);
  await Promise.resolve();
  expect(calls).toEqual([]);
  release();
  await starting;
  await stopAll([slow, ...rest]);
  expect(calls).toEqual(['start database', 'start http', 'start consumer', 'stop consumer', 'stop http', 'stop database']);
});

test('when one cannot start, those before it are stopped in reverse, those after it never touched', async () => {
  const calls: string[] = [];
  await expect(startAll(services(calls, { 'start consumer': 'no broker' }))).rejects.toThrow('no broker');
  expect(calls).toEqual(['start database', 'start http', 'start consumer', 'stop http', 'stop database']);
});

test('the first failure is the one that is reported, not that of cleaning up after it', async () => {
  const calls: string[] = [];
  await expect(startAll(services(calls, { 'start consumer': 'no broker', 'stop http': 'cannot close' }))).rejects.toThrow('no broker');
  expect(calls.at(-1)).toBe('stop database');
});

test('all are stopped although some fail, and the first failure is thrown', async () => {
  const calls: string[] = [];
  await expect(stopAll(services(calls, { 'stop consumer': 'stuck', 'stop database': 'gone' }))).rejects.toThrow('stuck');
  expect(calls).toEqual(['stop consumer', 'stop http', 'stop database']);
});
