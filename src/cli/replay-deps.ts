import type { Config } from '../config.ts';
import { BrxError } from '../errors.ts';
import { consumedTopics } from '../operations/groups/index.ts';
import type * as Replay from '../operations/replay/index.ts';
import { systemClock } from '../platform/clock.ts';
import { withPostgres } from './connections.ts';
import type { CliContext } from './context.ts';

export const ROLES = ['ingest', 'saga'] as const;
export type Role = (typeof ROLES)[number];

/** The groups that can be set back; their topics are theirs alone. Chunks of a bulk sync are of no use again: another sync is. */
export function groupOf(config: Config, role: Role): Replay.Group {
  const consumed = consumedTopics(config).find((each) => each.role === role);
  if (consumed === undefined) throw new BrxError('BRX_INTERNAL', `no consumer group has the role ${role}`);
  return { role, id: consumed.group, topic: consumed.topic };
}

export function withReplays<Result>(context: CliContext, role: Role, use: (deps: Replay.ReplayDeps, replay: typeof Replay) => Promise<Result>): Promise<Result> {
  return withPostgres(context, async (postgres) => {
    const config = context.config();
    const [replay, { COMMAND_RETRIES, createCodec, createKafka, createRegistry }] = [await import('../operations/replay/index.ts'), await import('../platform/kafka/index.ts')];
    return use(
      {
        postgres,
        kafka: createKafka(config.kafka, context.logger, { retries: COMMAND_RETRIES }),
        codec: createCodec(createRegistry(config.registry)),
        clock: systemClock,
        logger: context.logger,
        group: groupOf(config, role),
        horizonMs: config.ingest.horizonMs,
        signal: context.signal,
      },
      replay,
    );
  });
}
