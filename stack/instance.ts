import { setTimeout as delay } from 'node:timers/promises';
import { BrxError, messageOf } from '../src/errors.ts';
import { makeHome, type Owner } from './owner.ts';
import { takenMessage, takenPorts, type ServicePort } from './ports.ts';
import { isAlive, launchDetached, recordedProcess, stopRecorded, tailOf, type Launch, type ProcessRecord } from './processes.ts';
import type { Report, ServiceName } from './model.ts';

/** What kafka.ts, registry.ts, postgres.ts, mariadb.ts and redis.ts each say about their service. */
export interface NativeService {
  readonly name: ServiceName;
  readonly title: string;
  /** What a person sees: host and port, or a URL. */
  readonly address: string;
  readonly ports: readonly ServicePort[];
  readonly owner: Owner | undefined;
  /** Makes `home` ready (first time: initialises data) and says what to run. */
  prepare(home: string): Promise<Launch>;
  /** Resolves when the service really answers, rejects otherwise; at most a few seconds. */
  probe(): Promise<void>;
  /** A clean stop, and how long it may take. */
  readonly stopSignal: NodeJS.Signals;
  readonly stopGraceMs: number;
}

const READY_WITHIN_MS = 90_000;
/** A process of ours that already runs is only asked whether it answers. */
const REUSE_WITHIN_MS = 20_000;

export interface Started {
  service: NativeService;
  outcome: 'started' | 'was running';
  /** Milliseconds until it answered. */
  readyMs: number;
}

/** Starts the service in `home` unless it runs there already, and resolves once it answers. */
export async function startInstance(service: NativeService, home: string, report: Report = () => undefined): Promise<Started> {
  const begun = performance.now();
  const running = recordedProcess(home);
  if (running !== undefined) {
    refuseOtherPorts(service, running);
    await waitUntilReady(service, home, running, REUSE_WITHIN_MS);
    return { service, outcome: 'was running', readyMs: performance.now() - begun };
  }
  const launch = await service.prepare(makeHome(home, service.owner, report));
  const record = await launchDetached(home, launch, service.ports.map(({ port }) => port));
  await waitUntilReady(service, home, record, READY_WITHIN_MS);
  return { service, outcome: 'started', readyMs: performance.now() - begun };
}

/** Stops it cleanly, or as `signal` says; nothing happens if it does not run. */
export async function stopInstance(service: NativeService, home: string, signal: NodeJS.Signals = service.stopSignal): Promise<'stopped' | 'killed' | 'not running'> {
  return stopRecorded(home, signal, service.stopGraceMs);
}

/** Throws, naming every port that someone else holds. Ports of instances that run already are their own. */
export async function refuseTakenPorts(instances: readonly { service: NativeService; home: string }[]): Promise<void> {
  const needed = instances.filter(({ home }) => recordedProcess(home) === undefined).flatMap(({ service }) => service.ports);
  const taken = await takenPorts(needed);
  if (taken.length === 0) return;
  const { message, remedy } = takenMessage(taken);
  throw new BrxError('BRX_STACK', message, { remedy });
}

function refuseOtherPorts(service: NativeService, running: ProcessRecord): void {
  const wanted = service.ports.map(({ port }) => port);
  if (running.ports.length === 0 || running.ports.join() === wanted.join()) return;
  throw new BrxError('BRX_STACK', `${service.title} runs on port ${running.ports.join(' and ')}, but the settings say ${wanted.join(' and ')}`, {
    remedy: `npm run stack:down, then npm run stack:up; or unset ${service.ports.map(({ variable }) => variable).join(' and ')}`,
  });
}

async function waitUntilReady(service: NativeService, home: string, record: ProcessRecord, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      await service.probe();
      return;
    } catch (error) {
      if (!isAlive(record)) {
        throw new BrxError('BRX_STACK', `${service.title} ended before it answered. The end of its log (${home}/log):\n${tailOf(home)}`, { cause: error });
      }
      if (performance.now() > deadline) {
        throw new BrxError('BRX_STACK', `${service.title} does not answer after ${withinMs / 1_000} s (${messageOf(error)}). The end of its log (${home}/log):\n${tailOf(home)}`, {
          cause: error,
          remedy: 'npm run stack:down, then npm run stack:up; npm run stack:reset also deletes its data',
        });
      }
    }
    await delay(100);
  }
}
