import { describe, expect, test } from 'vitest';
import { BrxError } from '../../src/errors.ts';
import { Hold } from '../../src/platform/consumer/hold.ts';
import { fakeClock } from '../support/fake-clock.ts';

/** Protects: waiting for something that is away is bounded, forgets no partition, and ends when it answers. */
const away = new BrxError('BRX_DATABASE_UNAVAILABLE', 'away');
const registryAway = new BrxError('BRX_REGISTRY_UNAVAILABLE', 'away too');

function setUp({ random = 1 } = {}) {
  const clock = fakeClock({ random });
  const told: string[] = [];
  const answers: boolean[] = [];
  const probed: string[] = [];
  const hold = new Hold({
    clock,
    probe: (error) => {
      probed.push(error.code);
      return Promise.resolve(answers.shift() ?? false);
    },
    onHeld: (error) => told.push(`held ${error.code}`),
    onResumed: () => told.push('resumed'),
  });
  return { clock, hold, told, answers, probed };
}

describe('holding', () => {
  test('resumes every partition that was paused meanwhile, once, when it answers', async () => {
    const { clock, hold, told, answers } = setUp();
    const resumed: number[] = [];
    hold.hold(away, 0, () => resumed.push(0));
    hold.hold(away, 1, () => resumed.push(1));
    answers.push(false, true);
    await clock.advance(600);
    expect(resumed).toEqual([]);
    hold.hold(away, 2, () => resumed.push(2));
    await clock.advance(60_000);
    expect(resumed).toEqual([0, 1, 2]);
    expect(told).toEqual([`held ${away.code}`, `held ${away.code}`, `held ${away.code}`, 'resumed']);
    expect(hold.reason).toBeUndefined();
  });

  test('says why it waits, and asks for what is away last', async () => {
    const { clock, hold, probed } = setUp();
    hold.hold(away, 0, () => undefined);
    expect(hold.reason).toBe(away);
    hold.hold(registryAway, 1, () => undefined);
    await clock.advance(1_000);
    expect(hold.reason).toBe(registryAway);
    expect(new Set(probed)).toEqual(new Set([registryAway.code]));
  });

  test('waits longer each time, never longer than five seconds', async () => {
    const { clock, hold } = setUp();
    hold.hold(away, 0, () => undefined);
    await clock.advance(40_000);
    expect(clock.sleeps.slice(0, 7)).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    expect(Math.max(...clock.sleeps)).toBe(5_000);
  });

  test('chance takes away at most half of a wait', async () => {
    const { clock, hold } = setUp({ random: 0 });
    hold.hold(away, 0, () => undefined);
    await clock.advance(20_000);
    expect(clock.sleeps.slice(0, 3)).toEqual([125, 250, 500]);
    expect(Math.max(...clock.sleeps)).toBe(2_500);
  });

  test('trouble that comes back at once waits longer than the first time; after a commit it starts anew', async () => {
    const { clock, hold, answers } = setUp();
    for (let n = 0; n < 12; n += 1) {
      answers.push(true);
      hold.hold(away, 0, () => undefined);
      await clock.advance(5_000);
    }
    expect(clock.sleeps.slice(0, 4)).toEqual([250, 500, 1_000, 2_000]);
    expect(clock.sleeps.at(-1)).toBe(5_000);
    hold.succeeded(0);
    hold.hold(away, 0, () => undefined);
    expect(clock.sleeps.at(-1)).toBe(250);
  });

  test('a commit of another partition shortens no wait of the one that keeps failing', async () => {
    const { clock, hold, answers } = setUp();
    for (let n = 0; n < 6; n += 1) {
      answers.push(true);
      hold.hold(away, 0, () => undefined);
      await clock.advance(5_000);
      hold.succeeded(1);
    }
    expect(clock.sleeps).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000]);
    hold.succeeded(0);
    hold.hold(away, 1, () => undefined);
    expect(clock.sleeps.at(-1)).toBe(250);
  });

  test('can hold again while it resumes', async () => {
    const { clock, hold, answers, told } = setUp();
    answers.push(true, true);
    hold.hold(away, 0, () => hold.hold(registryAway, 1, () => told.push('second partition')));
    await clock.advance(5_000);
    expect(told.filter((what) => what === 'second partition')).toHaveLength(1);
    expect(hold.reason).toBeUndefined();
  });
});

describe('stopping', () => {
  test('ends the wait and leaves the partitions paused', async () => {
    const { hold, told, clock } = setUp();
    hold.hold(away, 0, () => told.push('never'));
    await hold.stop();
    expect(clock.sleeping).toBe(0);
    expect(told).toEqual([`held ${away.code}`]);
  });

  test('never held, or twice, is no trouble', async () => {
    const { hold } = setUp();
    await hold.stop();
    await hold.stop();
  });
});
