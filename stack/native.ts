import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { BrxError } from '../src/errors.ts';
import { downloadPlaces, downloadsComplete, ensureDownloads } from './downloads.ts';
import { installMissing } from './install.ts';
import { refuseTakenPorts, startInstance, stopInstance, type NativeService, type Started } from './instance.ts';
import { kafkaService } from './kafka.ts';
import { withLock } from './lock.ts';
import { mariadbService } from './mariadb.ts';
import { SERVICE_NAMES, nativeUrls, type Report, type ServiceName, type StackUrls } from './model.ts';
import { removeHome, unprivilegedOwner } from './owner.ts';
import { postgresService } from './postgres.ts';
import { recordedProcess } from './processes.ts';
import { redisService } from './redis.ts';
import { registryService } from './registry.ts';
import { findTools, type Tools } from './tools.ts';
import type { StackSettings } from './settings.ts';

/** The stack as processes of this machine, on ports and data of its own. */

export interface UpResult {
  urls: StackUrls;
  started: Started[];
}

export interface ServiceStatus {
  name: ServiceName;
  title: string;
  address: string;
  state: 'running' | 'not answering' | 'stopped';
  pid: number | null;
}

export function homeOf(settings: StackSettings, name: ServiceName): string {
  return join(settings.home, 'native', name);
}

/** Starts whatever does not run yet, all at once, and resolves when everything answers. May be called any number of times, also at once. */
export async function upNative(settings: StackSettings, report: Report): Promise<UpResult> {
  return withLock(lockOf(settings), report, async () => {
    const tools = await ensureTools(settings, report);
    await ensureDownloads(settings, tools.mvn, report);
    const services = servicesOf(settings, tools).map((service) => ({ service, home: homeOf(settings, service.name) }));
    await refuseTakenPorts(services);
    const outcomes = await Promise.allSettled(services.map(({ service, home }) => startInstance(service, home, report)));
    const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    if (failures.length > 0) throw combined(failures);
    return { urls: nativeUrls(settings.ports), started: outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])) };
  });
}

/** Stops all, cleanly and at once. */
export async function downNative(settings: StackSettings, report: Report): Promise<{ name: ServiceName; outcome: 'stopped' | 'killed' | 'not running' }[]> {
  return withLock(lockOf(settings), report, () => stopAllServices(settings));
}

/** Stops all and deletes their data; downloads stay. */
export async function resetNative(settings: StackSettings, report: Report): Promise<void> {
  await withLock(lockOf(settings), report, async () => {
    await stopAllServices(settings);
    for (const name of SERVICE_NAMES) removeHome(homeOf(settings, name));
    rmSync(join(settings.home, 'native'), { recursive: true, force: true });
  });
}

export async function statusNative(settings: StackSettings): Promise<ServiceStatus[]> {
  return Promise.all(
    servicesOf(settings, ANY_TOOLS).map(async (service): Promise<ServiceStatus> => {
      const { name, title, address } = service;
      const record = recordedProcess(homeOf(settings, name));
      if (record === undefined) return { name, title, address, state: 'stopped', pid: null };
      const answers = await service.probe().then(() => true, () => false);
      return { name, title, address, state: answers ? 'running' : 'not answering', pid: record.pid };
    }),
  );
}

/** Whether any service of the native stack of this checkout runs. */
export function nativeRuns(settings: StackSettings): boolean {
  return SERVICE_NAMES.some((name) => recordedProcess(homeOf(settings, name)) !== undefined);
}

/** One service of the shared native stack, to be stopped and started by itself. */
export async function nativeService(settings: StackSettings, name: ServiceName): Promise<{ service: NativeService; home: string }> {
  const tools = await ensureTools(settings, () => undefined);
  const service = servicesOf(settings, tools).find((each) => each.name === name);
  if (service === undefined) throw new BrxError('BRX_INTERNAL', `there is no service ${name}`);
  return { service, home: homeOf(settings, name) };
}

/** Finds every program the stack needs, and installs what is missing where that is allowed. */
export async function ensureTools(settings: StackSettings, report: Report): Promise<Tools> {
  const options = { downloadsComplete: downloadsComplete(settings) };
  const first = findTools(settings.environment, options);
  if (first.missing.length > 0) await installMissing(settings, first.missing, report);
  const { tools, missing } = first.missing.length > 0 ? findTools(settings.environment, options) : first;
  if (missing.length > 0) throw new BrxError('BRX_STACK', `still missing after the installation: ${missing.map(({ what }) => what).join(', ')}`);
  return { ...ANY_TOOLS, ...tools };
}

/** Enough to stop services and to ask for their state, which needs no program of the system. */
const ANY_TOOLS: Tools = { kafkaJava: 'java', registryJava: 'java', mvn: 'mvn', postgresBin: '/nonexistent', mariadbd: 'mariadbd', mariadbInstallDb: 'mariadb-install-db', redisServer: 'redis-server' };

function servicesOf(settings: StackSettings, tools: Tools): NativeService[] {
  const { ports } = settings;
  const places = downloadPlaces(settings);
  return [
    kafkaService({ java: tools.kafkaJava, libs: places.kafka, port: ports.kafka, controllerPort: ports.kafkaController }),
    registryService({ java: tools.registryJava, app: places.registry, port: ports.registry, managementPort: ports.registryManagement }),
    postgresService({ bin: tools.postgresBin, port: ports.postgres, owner: unprivilegedOwner(settings, ['postgres']) }),
    mariadbService({ mariadbd: tools.mariadbd, installDb: tools.mariadbInstallDb, port: ports.mariadb, owner: unprivilegedOwner(settings, ['mysql']) }),
    redisService({ redisServer: tools.redisServer, port: ports.redis }),
  ];
}

async function stopAllServices(settings: StackSettings): Promise<{ name: ServiceName; outcome: 'stopped' | 'killed' | 'not running' }[]> {
  return Promise.all(servicesOf(settings, ANY_TOOLS).map(async (service) => ({ name: service.name, outcome: await stopInstance(service, homeOf(settings, service.name)) })));
}

function lockOf(settings: StackSettings): string {
  return join(settings.home, 'lock');
}

function combined(failures: readonly unknown[]): unknown {
  if (failures.length === 1) return failures[0];
  const messages = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)));
  return new BrxError('BRX_STACK', `${failures.length} services did not start:\n${messages.join('\n')}`, { cause: failures[0], remedy: 'npm run stack:down, then npm run stack:up' });
}
