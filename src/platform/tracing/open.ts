import type { TracingConfig } from '../../config.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { NO_TRACING, type Tracing } from './tracer.ts';

export interface TracingDeps {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** OpenTelemetry is loaded here, when somebody wants spans, and nowhere else: who does not pays nothing for it. */
export async function openTracing({ endpoint, ...config }: TracingConfig, deps: TracingDeps): Promise<Tracing> {
  if (endpoint === undefined) return NO_TRACING;
  const { openOtlp } = await import('./otlp.ts');
  return openOtlp({ ...config, endpoint }, deps);
}
