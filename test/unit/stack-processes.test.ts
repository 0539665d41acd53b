import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withLock } from '../../stack/lock.ts';
import { isAlive, launchDetached, markFromStat, markOf, recordedProcess, stopRecorded, tailOf } from '../../stack/processes.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'brx-processes-'));
});
afterEach(async () => {
  await stopRecorded(home, 'SIGKILL', 1_000);
  rmSync(home, { recursive: true });
});

const launch = (script: string) => launchDetached(home, { program: process.execPath, args: ['-e', script], cwd: home, environment: {} }, [1]);

describe('a recorded process', () => {
  it('is found again by another command, and stopped by the signal it was promised', async () => {
    const record = await launch("process.on('SIGTERM', () => { console.log('clean'); process.exit(0); }); console.log('ready'); setInterval(() => {}, 1000)");
    await expect.poll(() => tailOf(home)).toContain('ready');
    expect(recordedProcess(home)).toEqual(record);
    expect(await stopRecorded(home, 'SIGTERM', 5_000)).toBe('stopped');
    expect(tailOf(home)).toContain('clean');
    expect(await stopRecorded(home, 'SIGTERM', 5_000)).toBe('not running');
  });

  it('is killed when it does not stop in time', async () => {
    await launch("process.on('SIGTERM', () => {}); console.log('ready'); setInterval(() => {}, 1000)");
    await expect.poll(() => tailOf(home)).toContain('ready');
    expect(await stopRecorded(home, 'SIGTERM', 100)).toBe('killed');
  });

  it('is never confused with a stranger who got its pid', async () => {
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    try {
      writeFileSync(join(home, 'process.json'), JSON.stringify({ pid: stranger.pid, mark: 'boot/1', program: 'postgres', ports: [] }));
      expect(recordedProcess(home)).toBeUndefined();
      expect(await stopRecorded(home, 'SIGKILL', 1_000)).toBe('not running');
      expect(stranger.pid !== undefined && markOf(stranger.pid) !== undefined).toBe(true);
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  it('that is gone leaves no record behind, nor does half a record', () => {
    writeFileSync(join(home, 'process.json'), JSON.stringify({ pid: 2_147_483_646, mark: 'boot/1' }));
    expect(recordedProcess(home)).toBeUndefined();
    expect(existsSync(join(home, 'process.json'))).toBe(false);
    writeFileSync(join(home, 'process.json'), '{"pid":');
    expect(recordedProcess(home)).toBeUndefined();
  });

  it('says why a program cannot be started', async () => {
    await expect(launchDetached(home, { program: '/nonexistent/server', args: [], cwd: home, environment: {} }, [])).rejects.toMatchObject({ code: 'BRX_STACK', message: expect.stringContaining('/nonexistent/server') as string });
  });
});

describe('start marks', () => {
  it('come from field 22 of proc(5), whatever the command is called', () => {
    const fields = ['S', ...Array.from({ length: 18 }, (_, index) => String(index)), '4711', '0'];
    expect(markFromStat(`12 (a (b) c) ${fields.join(' ')}`, 'boot')).toBe('boot/4711');
    expect(markFromStat(`12 (x) Z ${fields.slice(1).join(' ')}`, 'boot')).toBeUndefined();
  });

  it('tell this process from any other', () => {
    const mark = markOf(process.pid);
    expect(mark).toBeDefined();
    expect(isAlive({ pid: process.pid, mark: mark ?? '', program: '', ports: [] })).toBe(true);
    expect(isAlive({ pid: process.pid, mark: `${mark}0`, program: '', ports: [] })).toBe(false);
  });
});

describe('the lock', () => {
  it('lets one in at a time, and is free again after a failure', async () => {
    const file = join(home, 'lock');
    let inside = 0;
    let most = 0;
    const turn = () => withLock(file, () => undefined, async () => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    });
    await Promise.all([turn(), turn(), turn()]);
    expect(most).toBe(1);
    await expect(withLock(file, () => undefined, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(existsSync(file)).toBe(false);
  });

  it('of a process that is gone is taken over', async () => {
    const file = join(home, 'lock');
    writeFileSync(file, JSON.stringify({ pid: 2_147_483_646, mark: 'boot/1' }));
    expect(await withLock(file, () => undefined, () => Promise.resolve('done'), 2_000)).toBe('done');
  });

  it('of a living process is respected, and its holder named', async () => {
    const file = join(home, 'lock');
    writeFileSync(file, JSON.stringify({ pid: process.pid, mark: markOf(process.pid) }));
    await expect(withLock(file, () => undefined, () => Promise.resolve(), 200)).rejects.toMatchObject({ remedy: expect.stringContaining(String(process.pid)) as string });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ pid: process.pid });
  });
});
