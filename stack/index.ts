import { stopInstance, startInstance } from './instance.ts';
import { upCompose } from './compose.ts';
import { engineAnswers, findCompose } from './engine.ts';
import { nativeRuns, nativeService, upNative } from './native.ts';
import { waitForAll } from './probes.ts';
import { readSettings, type StackSettings } from './settings.ts';
import { chooseSource, environmentUrls } from './source.ts';
import { startTestContainers } from './testcontainers.ts';
import { type Report, type ServiceName, type StackSource, type StackUrls } from './model.ts';

export type { Report, StackSource, StackUrls } from './model.ts';
export { runKafkaTool } from './kafka-tool.ts';
export { findChromium } from './chromium.ts';
export { findPromtool } from './promtool.ts';
export { readSettings, type StackSettings } from './settings.ts';
export { startPrivateKafka, startPrivateMariadb, startPrivatePostgres, startPrivateRedis, startPrivateRegistry, sweepPrivate, type PrivatePostgres, type PrivateService } from './private.ts';

export interface ResolveOptions {
  settings?: StackSettings;
  /** Told what is going on while it takes time. */
  report?: Report;
}

/**
 * The services, started if need be and left running: URLs of the environment, Compose if a Docker engine answers, native
 * otherwise. All five answer when this resolves. Throws BRX_CONFIG or BRX_STACK with what to do.
 */
export async function resolveStack({ settings = readSettings(), report = () => undefined }: ResolveOptions = {}): Promise<StackUrls> {
  const source = await sourceFor(settings, report);
  if (source === 'containers') return upCompose(settings, report);
  return source === 'native' ? (await upNative(settings, report)).urls : answering(environmentUrls(settings));
}

/**
 * The same for a test run, where containers are the run's own (Testcontainers) and `release` removes them; services of the
 * environment and the native stack stay.
 */
export async function resolveTestStack({ settings = readSettings(), report = () => undefined }: ResolveOptions = {}): Promise<{ urls: StackUrls; release: () => Promise<void> }> {
  const source = await chooseSource(settings, { nativeRuns: () => nativeRuns(settings), engineAnswers: () => engineAnswers(settings.environment) });
  if (source === 'containers') return startTestContainers(report);
  const urls = source === 'native' ? (await upNative(settings, report)).urls : await answering(environmentUrls(settings));
  return { urls, release: () => Promise.resolve() };
}

/** The source `resolveStack` would take. Without Compose an engine is of no use to people, so they get the native stack. */
export async function sourceFor(settings: StackSettings, report: Report = () => undefined): Promise<StackSource> {
  const source = await chooseSource(settings, { nativeRuns: () => nativeRuns(settings), engineAnswers: () => engineAnswers(settings.environment) });
  if (source !== 'containers' || settings.source === 'containers' || (await findCompose(settings)) !== undefined) return source;
  report('a Docker engine answers, but `docker compose` does not: using the native stack');
  return 'native';
}

/** What can be done to the shared services from here; a test that needs more says so instead of failing in odd ways. */
export function capabilities(source: StackSource): { stopAndStart: boolean } {
  return { stopAndStart: source === 'native' };
}

/** The shared native stack, a service at a time. It disturbs everyone who uses it: tests take a private instance instead. */
export const nativeStack = {
  restartPostgres: async (mode: 'fast' | 'immediate'): Promise<void> => {
    await stopShared('postgres', mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await startShared('postgres');
  },
  stopPostgres: (): Promise<void> => stopShared('postgres'),
  startPostgres: (): Promise<void> => startShared('postgres'),
  stopRegistry: (): Promise<void> => stopShared('registry'),
  startRegistry: (): Promise<void> => startShared('registry'),
} as const;

async function stopShared(name: ServiceName, signal?: NodeJS.Signals): Promise<void> {
  const { service, home } = await nativeService(readSettings(), name);
  await stopInstance(service, home, signal);
}

async function startShared(name: ServiceName): Promise<void> {
  const { service, home } = await nativeService(readSettings(), name);
  await startInstance(service, home);
}

async function answering(urls: StackUrls): Promise<StackUrls> {
  await waitForAll(urls, 15_000);
  return urls;
}

