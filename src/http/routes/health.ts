import { z } from 'zod';
import type { Clock } from '../../platform/clock.ts';
import { withDeadline } from '../../platform/deadline.ts';
import type { Metrics } from '../../platform/metrics.ts';
import type { HealthReport, HealthSource } from '../health.ts';
import { route, type Answer, type Route } from '../route.ts';

/** Below what probes usually wait for, so that the answer is ours and says why. */
const READY_TIMEOUT_MS = 2_000;

const query = z.object({ verbose: z.string().optional().meta({ description: 'also the checks that pass' }) });
const healthAnswer = z.object({ status: z.enum(['ok', 'failing']), checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string() })).optional().meta({ description: 'with the token only' }) });

/** What orchestrators and Prometheus ask. */
export function healthRoutes(health: HealthSource, metrics: Pick<Metrics, 'render' | 'contentType'>, clock: Clock): Route[] {
  const asked = { method: 'GET', access: 'open', isLimited: false, query, answer: { name: 'Health', schema: healthAnswer }, problems: [] } as const;
  return [
    route({ ...asked, path: '/health/live', summary: 'Does it move?', description: '503: restart it.', handle: ({ query: { verbose }, isTrusted }) => answerOf(health.live(), isTrusted, verbose !== undefined) }),
    route({ ...asked, path: '/health/ready', summary: 'Can it work now?', handle: async ({ query: { verbose }, isTrusted }) => answerOf(await withDeadline(health.ready(), { ms: READY_TIMEOUT_MS, clock, late }), isTrusted, verbose !== undefined) }),
    route({
      method: 'GET',
      path: '/metrics',
      access: 'read',
      isLimited: false,
      summary: 'Metrics for Prometheus',
      problems: ['unauthorized'],
      handle: async () => ({ body: await metrics.render(), type: metrics.contentType }),
    }),
  ];
}

function answerOf({ ok, checks }: HealthReport, isTrusted: boolean, verbose: boolean): Answer {
  const shown = verbose ? checks : checks.filter((check) => !check.ok);
  return { status: ok ? 200 : 503, body: { status: ok ? 'ok' : 'failing', ...(isTrusted && { checks: shown }) } };
}

const late = (): HealthReport => ({ ok: false, checks: [{ name: 'ready', ok: false, detail: `the checks did not answer within ${READY_TIMEOUT_MS / 1_000} s` }] });
