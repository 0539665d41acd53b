import { SELLER_STATUSES, type Busiest, type countMarketplace, type SellerStatus } from '../marketplace/index.ts';
import type { OutboxStats } from '../outbox/index.ts';
import type { ConsumerReading } from '../platform/consumer/index.ts';
import type { PoolState } from '../platform/metrics.ts';
import { ENDED, STATES, type countActiveSagas } from '../purchase/index.ts';
import { DEAD_LETTER_REASONS, type DeadLetterReason } from '../records/index.ts';

/** How each thing stands, in a colour and in words, and what to do about it. Pure; what calls for an alert in ops/prometheus is not good here. */
export const LEVELS = ['good', 'unknown', 'warn', 'bad'] as const;
export type Level = (typeof LEVELS)[number];

export interface Fact {
  readonly name: string;
  readonly value: number | string;
  readonly level: Level;
  /** What the name means. */
  readonly means: string | null;
}

export interface Standing {
  readonly level: Level;
  readonly says: string;
  readonly remedy: string | null;
  readonly facts: readonly Fact[];
}

const POOL_LINE = 0.8;
const OUTBOX_OLD_SECONDS = 30;
const BROKER_SILENT_SECONDS = 20;

const fact = (name: string, value: number | string, level: Level = 'good', means: string | null = null): Fact => ({ name, value, level, means });
const good = (says: string, facts: readonly Fact[] = []): Standing => ({ level: 'good', says, remedy: null, facts });
const above0 = (level: Level, value: number): Level => (value > 0 ? level : 'good');
const many = (n: number, one: string, several: string): string => `${n.toLocaleString('en')} ${n === 1 ? one : several}`;

/** The worst of several; what is not known is worse than good, and better than what is known to be wrong. */
export function worst(levels: readonly Level[]): Level {
  return LEVELS[Math.max(0, ...levels.map((level) => LEVELS.indexOf(level)))] ?? 'good';
}

export function kafkaStanding(consumers: readonly ConsumerReading[]): Standing {
  if (consumers.length === 0) return { level: 'unknown', says: 'this instance reads nothing from Kafka, so it cannot tell', remedy: 'look at an instance with the role ingest or saga', facts: [] };
  const silent = consumers.filter(({ brokerSeconds }) => brokerSeconds === null || brokerSeconds > BROKER_SILENT_SECONDS);
  if (silent.length === 0) return good('answers');
  const never = silent.every(({ brokerSeconds }) => brokerSeconds === null);
  const seconds = Math.max(...silent.map(({ brokerSeconds }) => brokerSeconds ?? 0));
  return { level: never ? 'warn' : 'bad', says: never ? 'has not answered since this instance was started' : `has not answered for ${Math.round(seconds)} s`, remedy: 'nothing is lost: events wait at their producers. See whether the brokers run and can be reached from here (BRX_KAFKA_BROKERS)', facts: [] };
}

export function consumerStanding(consumers: readonly ConsumerReading[]): Standing {
  const partitions = consumers.flatMap((consumer) => consumer.partitions);
  if (consumers.length === 0) return { level: 'unknown', says: 'this instance reads no partitions', remedy: 'look at an instance with the role ingest or saga; `brx-sync lag` asks the broker for all', facts: [] };
  const facts = consumers.map(({ group, partitions: own, topicPartitions, held }) => {
    const all = [...topicPartitions.values()].reduce((sum, n) => sum + n, 0);
    return fact(group, held ? 'paused' : `${own.length} of ${all} partitions here`, held ? 'bad' : own.length === 0 ? 'unknown' : 'good', held ? 'paused until PostgreSQL, the schema registry or the outbox has room again' : null);
  });
  const silent = consumers.flatMap(({ brokerSeconds }) => (brokerSeconds !== null && brokerSeconds > BROKER_SILENT_SECONDS ? [brokerSeconds] : []));
  if (silent.length > 0 && facts.every(({ level }) => level !== 'bad')) return { level: 'unknown', says: `what waits is not known since Kafka answered last, ${Math.round(Math.max(...silent))} s ago`, remedy: null, facts };
  const wrong = partitions.filter(({ status }) => status !== 'ok' && status !== 'replay');
  const again = partitions.filter(({ status }) => status === 'replay').length;
  const seconds = Math.max(0, ...partitions.map((partition) => partition.seconds));
  const records = partitions.reduce((sum, partition) => sum + partition.records, 0);
  if (wrong.length > 0) {
    const level: Level = wrong.some(({ status }) => status === 'stall' || status === 'stop' || status === 'rewind') ? 'bad' : 'warn';
    return { level: worst([level, ...facts.map((one) => one.level)]), says: `${many(wrong.length, 'partition does', 'partitions do')} not keep up`, remedy: 'docs/runbooks/BrxPartitionStalled.md, BrxEventsWait.md', facts };
  }
  if (facts.some(({ level }) => level === 'bad')) return { level: 'bad', says: 'reading is paused because something is away', remedy: 'it goes on by itself; what is away is told above, docs/runbooks/BrxConsumerPaused.md', facts };
  if (again > 0) return { level: 'warn', says: `${many(again, 'partition is', 'partitions are')} read again: a replay`, remedy: 'it is over by itself; its page says when', facts };
  if (partitions.length === 0) return { level: 'unknown', says: 'no partition is known to be owned here yet', remedy: null, facts };
  return good(records === 0 ? 'caught up' : `${many(records, 'record waits', 'records wait')}, the oldest for ${seconds.toFixed(1)} s`, facts);
}

export function poolStanding(pools: ReadonlyMap<string, PoolState>): Standing {
  const facts = [...pools].map(([name, { used, max, waiting }]) => fact(name, `${used} of ${max}`, waiting > 0 && used >= max ? 'bad' : used >= POOL_LINE * max ? 'warn' : 'good', waiting > 0 ? `${waiting} wait for one` : null));
  const level = worst(facts.map((one) => one.level));
  return level === 'good' ? good(pools.size === 0 ? 'none here' : 'each below its 80 % line', facts) : { level, says: level === 'bad' ? 'requests wait for a connection' : 'a pool is above its 80 % line', remedy: 'docs/runbooks/BrxPoolNearLimit.md', facts };
}

export function outboxStanding({ pending, oldestSeconds, blockedRows, blockedUsers }: OutboxStats): Standing {
  const rows = [...pending.values()].reduce((sum, n) => sum + n, 0);
  const old = oldestSeconds > OUTBOX_OLD_SECONDS;
  const facts = [...[...pending].map(([topic, n]) => fact(topic, n)), fact('oldest', `${oldestSeconds.toFixed(1)} s`, old ? 'bad' : 'good'), fact('blocked', blockedRows, above0('bad', blockedRows), `Kafka refuses them for good; ${blockedUsers} users wait behind them`)];
  if (blockedRows > 0) return { level: 'bad', says: `${many(blockedRows, 'row is', 'rows are')} refused by Kafka for good`, remedy: '`brx-sync outbox list`, docs/runbooks/BrxOutboxBlocked.md', facts };
  if (old) return { level: 'bad', says: `the oldest row has waited for ${Math.round(oldestSeconds)} s`, remedy: 'see whether Kafka answers and an instance with the role relay runs, docs/runbooks/BrxOutboxOld.md', facts };
  return good(rows === 0 ? 'empty' : `${many(rows, 'row is', 'rows are')} on the way to Kafka`, facts);
}

export function sagaStanding({ byState, overdue }: Awaited<ReturnType<typeof countActiveSagas>>): Standing {
  const stuck = byState.get('NEEDS_OPERATOR') ?? 0;
  const facts = [...STATES.filter((state) => !ENDED.has(state)).map((state) => fact(state, byState.get(state) ?? 0, state === 'NEEDS_OPERATOR' ? above0('bad', stuck) : 'good')), fact('overdue', overdue, above0('bad', overdue), 'should have been looked at more than a minute ago')];
  const open = [...byState.values()].reduce((sum, n) => sum + n, 0);
  if (stuck + overdue > 0) return { level: 'bad', says: [stuck > 0 && `${many(stuck, 'sale needs', 'sales need')} an operator`, overdue > 0 && `${many(overdue, 'is', 'are')} overdue`].filter((part) => part !== false).join(', '), remedy: 'open them here, docs/runbooks/BrxSagasStuck.md', facts };
  return good(open === 0 ? 'no sale is under way' : `${many(open, 'sale is', 'sales are')} under way`, facts);
}

export function parkedStanding({ users, events }: { readonly users: number; readonly events: number }): Standing {
  const facts = [fact('users', users, above0('warn', users)), fact('events', events, above0('warn', events), 'that wait behind them')];
  return users === 0 ? good('nobody is parked', facts) : { level: 'warn', says: `${many(users, 'user waits', 'users wait')} because an event of theirs failed`, remedy: 'docs/runbooks/BrxUsersParked.md; `brx-sync parked retry` once the cause is gone', facts };
}

/** They are history: there is nothing wrong now because there are some. */
export function deadLetterStanding(byReason: ReadonlyMap<DeadLetterReason, number>): Standing {
  const facts = [...byReason].map(([reason, letters]) => fact(reason, letters, 'good', DEAD_LETTER_REASONS[reason]));
  const all = [...byReason.values()].reduce((sum, n) => sum + n, 0);
  return good(all === 0 ? 'there are none' : `${many(all, 'is', 'are')} kept${all >= 100_000 ? ', or more' : ''}`, facts);
}

type MarketplaceCounts = Awaited<ReturnType<typeof countMarketplace>>;

export function sellerStanding({ sellers, openCircuits }: MarketplaceCounts): Standing {
  const of = (status: SellerStatus): number => sellers.get(status) ?? 0;
  const [paused, rejected] = [of('paused'), of('token_rejected')];
  const levels: Readonly<Record<SellerStatus, Level>> = { active: 'good', paused: above0('warn', paused), token_rejected: above0('bad', rejected) };
  const facts = [...(Object.keys(SELLER_STATUSES) as SellerStatus[]).map((status) => fact(status, of(status), levels[status], SELLER_STATUSES[status])), fact('circuits open', openCircuits, above0('warn', openCircuits), 'CardTrader gives no usable answers for them')];
  const level = worst(facts.map((one) => one.level));
  if (level === 'good') return good(`${many(of('active'), 'account', 'accounts')}, all called`, facts);
  return { level, says: [rejected > 0 && `the tokens of ${rejected} are rejected`, paused > 0 && `${paused} paused`, openCircuits > 0 && `${openCircuits} get no usable answers`].filter((part) => part !== false).join(', '), remedy: 'docs/runbooks/BrxTokenRejected.md, BrxCircuitsOpen.md', facts };
}

export function listingStanding({ mismatches, problems, needOperator, oldestDueSeconds, syncs }: MarketplaceCounts): Standing {
  const facts = [
    fact('mismatched', mismatches, above0('warn', mismatches), 'CardTrader shows what nothing here explains'),
    fact('not taken', problems, above0('warn', problems), 'items with something CardTrader does not take'),
    fact('outcome unknown', needOperator, above0('bad', needOperator), 'operations whose outcome cannot be told'),
    fact('oldest due', `${oldestDueSeconds.toFixed(1)} s`),
    fact('to be synced', syncs),
  ];
  const level = worst(facts.map((one) => one.level));
  return level === 'good' ? good('CardTrader shows what is here', facts) : { level, says: 'CardTrader shows otherwise than it should', remedy: 'docs/runbooks/BrxListingsMismatched.md, BrxOperationsNeedOperator.md', facts };
}

/** Of the limit of CardTrader: who is held up, and whether processes know of each other. */
export function limitStanding({ source, silentMs, sellers, active }: Busiest, { calls, isShared }: { readonly calls: boolean; readonly isShared: boolean }): Standing {
  if (!isShared && !calls) return { level: 'unknown', says: 'this instance calls nobody, and has no Redis to look into', remedy: 'look at an instance with the role dispatcher, or set BRX_REDIS_URL here', facts: [] };
  const [paused, lowered] = [sellers.filter(({ pausedMs }) => pausedMs > 0).length, sellers.filter(({ limit, full }) => limit < full).length];
  const first = sellers.find(({ pausedMs }) => pausedMs === 0);
  const alone = source === 'local' && isShared;
  const facts = [
    fact('counted', source === 'shared' ? 'by all processes together' : 'by each process alone', alone ? 'warn' : 'good', alone ? 'Redis does not answer: each process sends at a share of the limit only' : null),
    fact('called lately', active),
    fact('most used', first === undefined ? 'nothing' : `${first.used} of ${first.limit}`),
    fact('paused', paused, above0('warn', paused), 'CardTrader answered 429; they go on by themselves'),
    fact('lowered', lowered, above0('warn', lowered), 'after a 429; their limit comes back by steps'),
  ];
  if (alone) return { level: 'warn', says: calls ? 'Redis does not answer: this process counts alone, at a share of the limit' : 'Redis does not answer: each process counts alone, and what they use is not known here', remedy: 'nothing is lost, calls are slower; docs/runbooks/BrxRateLimiterAlone.md', facts };
  // The silence begins with the first call: before there is one nobody waits for its end.
  if (silentMs > 0 && active > 0) return { level: 'warn', says: `nothing is sent for ${Math.ceil(silentMs / 1_000)} s, because what was used before is not known`, remedy: 'it goes on by itself', facts };
  if (paused + lowered > 0) return { level: 'warn', says: [paused > 0 && `${paused} paused after a 429`, lowered > 0 && `${lowered} at a lowered limit`].filter((part) => part !== false).join(', '), remedy: 'they come back by themselves; docs/runbooks/BrxThrottled.md', facts };
  return good(source === 'local' ? 'counted by each process alone: no Redis is configured' : active === 0 ? 'nobody was called lately' : 'nobody is held up', facts);
}
