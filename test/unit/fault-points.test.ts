import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { armFault, FAULT_POINTS, faultPoint } from '../../src/platform/fault-points.ts';

/** Crash tests are worth what these are: the right place, the right passage, and nothing unless armed. */
const root = new URL('../..', import.meta.url).pathname;
const read = (folder: string): string =>
  readdirSync(`${root}/${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.includes('generated/') && path !== 'platform/fault-points.ts' && path !== 'config.ts')
    .map((path) => readFileSync(`${root}/${folder}/${path}`, 'utf8'))
    .join('\n');

afterEach(() => {
  armFault(undefined);
  vi.restoreAllMocks();
});

test.each(FAULT_POINTS)('%s stands somewhere in the program', (point) => {
  expect(read('src').includes(`'${point}'`), `nobody calls faultPoint('${point}'): take it off the list, or put it where it belongs`).toBe(true);
});

test.each(FAULT_POINTS)('a crash test goes to %s', (point) => {
  const crashTests = read('test/crash');
  expect(crashTests.includes(point) || crashTests.includes('FAULT_POINTS'), `test/crash neither names ${point} nor goes through FAULT_POINTS`).toBe(true);
});

describe('a fault', () => {
  test('does nothing unless armed, nor at another point', () => {
    expect(() => faultPoint('ingest.after-write')).not.toThrow();
    armFault({ point: 'ingest.after-read', action: 'throw', passage: 1 });
    expect(() => faultPoint('ingest.after-write')).not.toThrow();
  });

  test('strikes at the passage it was armed for, once, and says so first', () => {
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    armFault({ point: 'ingest.after-write', action: 'throw', passage: 2 });
    faultPoint('ingest.after-write');
    expect(said).not.toHaveBeenCalled();
    expect(() => faultPoint('ingest.after-write')).toThrow('fault point ingest.after-write');
    expect(said).toHaveBeenCalledExactlyOnceWith('fault point ingest.after-write: throw\n');
    expect(() => faultPoint('ingest.after-write')).not.toThrow();
  });

  test('armed again counts passages anew', () => {
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    armFault({ point: 'ingest.after-write', action: 'throw', passage: 2 });
    faultPoint('ingest.after-write');
    armFault({ point: 'ingest.after-write', action: 'throw', passage: 2 });
    expect(() => faultPoint('ingest.after-write')).not.toThrow();
    expect(() => faultPoint('ingest.after-write')).toThrow();
  });

  test.each([
    ['kill', 'SIGKILL'],
    ['stop', 'SIGSTOP'],
  ] as const)('%s sends this very process %s', (action, signal) => {
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
    armFault({ point: 'ingest.commit-sent', action, passage: 1 });
    faultPoint('ingest.commit-sent');
    expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, signal);
  });
});
