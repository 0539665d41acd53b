import type { Effect, Picture, Plan, ReplayRow } from '../operations/replay/index.ts';
import { counted, formatCount, formatSeconds, type Output } from './output.ts';

/** What `brx-sync replay` says of plans and of replays under way. */

export function showPlan(out: Output, plan: Plan): void {
  const { totals, rate } = plan;
  out.line(`${out.paint('bold', `${plan.topic} → ${plan.group}`)}   ${plan.how}`);
  out.line();
  out.table(
    plan.partitions.map(({ partition, from, to, records, skipped, pending, gone }) => ({
      partition,
      from: from ?? 'never',
      to,
      again: formatCount(records),
      pending: formatCount(pending),
      ...(totals.skipped > 0 && { skipped: formatCount(skipped) }),
      note: gone === null ? 'begins here: older records are deleted' : gone > 0 ? `${formatCount(gone)} asked for are deleted` : '',
    })),
    [
      { key: 'partition' },
      { key: 'from', align: 'right' },
      { key: 'to', align: 'right' },
      { key: 'again', title: 'read again', align: 'right' },
      { key: 'pending', title: 'behind already', align: 'right' },
      ...(totals.skipped > 0 ? [{ key: 'skipped', align: 'right' } as const] : []),
      { key: 'note', title: '' },
    ],
  );
  out.line();
  out.line(`read again: ${formatCount(totals.records)} records${totals.pending > 0 ? `, and ${formatCount(totals.pending)} that wait already` : ''}`);
  out.line(`time:       about ${formatSeconds(totals.seconds)} at ${counted(rate.records, 'record')}/s (${rate.measured ? 'as this group’s last replay' : 'assumed: no replay of this group was measured yet'})`);
  for (const [index, line] of effectLines(plan).entries()) out.line(`${index === 0 ? 'effect:     ' : '            '}${line}`);
  for (const { why, remedy } of plan.blocked) out.line(`${out.paint('red', 'not now:   ')} ${why}\n            ${remedy}`);
}

function effectLines({ effect, topic, totals }: Plan): string[] {
  if (effect !== null) return countedLines(effect);
  if (totals.records === 0) return ['none: nothing is read again'];
  if (topic.endsWith('saga-events')) return ['steps a sale has taken are recognised by it; nothing is called again on CardTrader'];
  return [
    'not counted: it is too much to read for a plan. Events that took effect, or wait with a parked user, are duplicates; dead letters',
    'are not written twice; events from before the horizon that are not known any more become dead letters (too_old); holes are filled',
  ];
}

function countedLines(effect: Effect): string[] {
  const counts: readonly [number, string][] = [
    [effect.duplicates, 'duplicates: applied before, or waiting with a parked user; no effect'],
    [effect.buried, 'dead letters before: not written again'],
    [effect.fresh, 'without effect so far: would be applied now'],
    [effect.tooOld, 'from before the horizon: would become dead letters (too_old)'],
    [effect.unusable, 'cannot be used: would become dead letters'],
  ];
  return counts.filter(([count]) => count > 0).map(([count, words]) => `${formatCount(count)} ${words}`);
}

export function showPicture(out: Output, { at, replay, progress, behind, members, rate, seconds, over }: Picture): void {
  const share = progress.of === 0 ? 100 : Math.floor((100 * progress.done) / progress.of);
  out.line(`${out.paint('bold', `replay ${replay.id} of ${replay.group}`)}   ${replay.how}   ${at.toISOString()}`);
  out.line(`${replay.detected ? 'set by another tool than brx-sync' : `by ${replay.who ?? 'nobody'}: ${replay.reason ?? ''}`}; ${stateOf(replay)}`);
  out.line(`${formatCount(progress.done)} of ${counted(progress.of, 'record')} read again (${share} %), ${pace(rate, seconds, members)}; ${formatCount(behind)} to the end of the topic`);
  const left = progress.partitions.filter((partition) => partition.left > 0);
  if (left.length > 0) {
    out.line();
    out.table(left.map((partition) => ({ ...partition, left: formatCount(partition.left) })), [{ key: 'partition' }, { key: 'at', align: 'right' }, { key: 'goal', title: 'had been at', align: 'right' }, { key: 'left', align: 'right' }]);
  }
  if (over) out.line(out.paint('green', replay.undoneAt === null ? 'it is over: every partition is where it had been' : 'it was undone'));
}

function pace(rate: number | null, seconds: number | null, members: number): string {
  if (members === 0 && rate === null) return 'nobody reads: start the instances';
  if (rate === null) return `${members} member${members === 1 ? '' : 's'}, not moving yet`;
  return `${counted(Math.round(rate), 'record')}/s${seconds === null ? '' : `, ${formatSeconds(seconds)} left`}`;
}

/** In one word or two. */
export function stateOf({ setAt, startedAt, caughtUpAt, undoneAt }: ReplayRow): string {
  if (undoneAt !== null) return setAt === null ? 'never set' : 'undone';
  if (caughtUpAt !== null) return 'over';
  if (setAt === null) return 'half set';
  return startedAt === null ? 'waits for instances' : 'running';
}
