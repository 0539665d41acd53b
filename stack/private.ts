import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BrxError, messageOf } from '../src/errors.ts';
import { downloadPlaces, ensureDownloads } from './downloads.ts';
import { startInstance, stopInstance, type NativeService } from './instance.ts';
import { kafkaService } from './kafka.ts';
import { mariadbService } from './mariadb.ts';
import { ensureTools } from './native.ts';
import { removeHome, unprivilegedOwner } from './owner.ts';
import { freePorts } from './ports.ts';
import { postgresService } from './postgres.ts';
import { markOf, stopRecorded } from './processes.ts';
import { redisService } from './redis.ts';
import { registryService } from './registry.ts';
import { REGISTRY_PATH } from './model.ts';
import { readSettings, type StackSettings } from './settings.ts';

/**
 * A second Kafka, PostgreSQL, MariaDB, registry or Redis for one test alone, on free ports and with data of its own, so that a test may stop it or
 * kill it without disturbing anyone. Needs what the native stack needs, whatever the shared services come from.
 */
export interface PrivateService {
  url: string;
  port: number;
  /** Stops cleanly; stopped twice is fine. */
  stop(): Promise<void>;
  /** Starts again on the same port with the same data, and resolves when it answers. */
  start(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Stops it and deletes its data. */
  remove(): Promise<void>;
}

export interface PrivatePostgres extends PrivateService {
  /** `fast` ends sessions and shuts down cleanly; `immediate` is a crash with recovery at the next start. Resolves when it answers again. */
  restart(mode: 'fast' | 'immediate'): Promise<void>;
  /** Takes it away in the given way without starting it again. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
}

/** `as`: other settings than a test needs; with `standbyOf` a streaming replica of the private server on that port. */
export async function startPrivatePostgres(settings: StackSettings = readSettings(), as: { sharedBuffers?: string; preload?: string; standbyOf?: number } = {}): Promise<PrivatePostgres> {
  const tools = await ensureTools(settings, () => undefined);
  const [port] = await freePorts(1);
  if (port === undefined) throw new BrxError('BRX_STACK', 'no free port');
  const service = postgresService({ bin: tools.postgresBin, port, owner: unprivilegedOwner(settings, ['postgres']), sharedBuffers: '64MB', ...as });
  const { home, basics } = await begin(settings, service, `postgresql://brx@127.0.0.1:${port}/brx`, port);
  const stop = async (mode: 'fast' | 'immediate' = 'fast'): Promise<void> => {
    await stopInstance(service, home, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  };
  return {
    ...basics,
    stop,
    restart: async (mode) => {
      await stop(mode);
      await basics.start();
    },
  };
}

export async function startPrivateRegistry(settings: StackSettings = readSettings()): Promise<PrivateService> {
  const tools = await ensureTools(settings, () => undefined);
  await ensureDownloads(settings, tools.mvn, () => undefined);
  const [port, managementPort] = await freePorts(2);
  if (port === undefined || managementPort === undefined) throw new BrxError('BRX_STACK', 'no free port');
  const service = registryService({ java: tools.registryJava, app: downloadPlaces(settings).registry, port, managementPort });
  const { basics } = await begin(settings, service, `http://127.0.0.1:${port}${REGISTRY_PATH}`, port);
  return basics;
}

/** A broker of its own; `url` is what BRX_KAFKA_BROKERS takes. */
export async function startPrivateKafka(settings: StackSettings = readSettings()): Promise<PrivateService> {
  const tools = await ensureTools(settings, () => undefined);
  await ensureDownloads(settings, tools.mvn, () => undefined);
  const [port, controllerPort] = await freePorts(2);
  if (port === undefined || controllerPort === undefined) throw new BrxError('BRX_STACK', 'no free port');
  const service = kafkaService({ java: tools.kafkaJava, libs: downloadPlaces(settings).kafka, port, controllerPort, forOneTest: true });
  const { basics } = await begin(settings, service, `127.0.0.1:${port}`, port);
  return basics;
}

/** Comes back with what SAVE wrote last, if anything. */
export async function startPrivateRedis(settings: StackSettings = readSettings()): Promise<PrivateService> {
  const tools = await ensureTools(settings, () => undefined);
  const [port] = await freePorts(1);
  if (port === undefined) throw new BrxError('BRX_STACK', 'no free port');
  const { basics } = await begin(settings, redisService({ redisServer: tools.redisServer, port }), `redis://127.0.0.1:${port}`, port);
  return basics;
}

/** Database, user and password `brx`, as on the shared one. */
export async function startPrivateMariadb(settings: StackSettings = readSettings()): Promise<PrivateService> {
  const tools = await ensureTools(settings, () => undefined);
  const [port] = await freePorts(1);
  if (port === undefined) throw new BrxError('BRX_STACK', 'no free port');
  const service = mariadbService({ mariadbd: tools.mariadbd, installDb: tools.mariadbInstallDb, port, owner: unprivilegedOwner(settings, ['mysql']) });
  const { basics } = await begin(settings, service, `mysql://brx:brx@127.0.0.1:${port}/brx`, port);
  return basics;
}

async function begin(settings: StackSettings, service: NativeService, url: string, port: number): Promise<{ home: string; basics: PrivateService }> {
  const folder = privateFolder(settings);
  mkdirSync(folder, { recursive: true });
  await sweepPrivate(settings);
  const name = `${service.name}-${process.pid}-${port}`;
  const home = join(folder, name);
  // Whose instance it is, so that what a killed test run leaves behind is found and ended by the next one.
  writeFileSync(`${home}.user`, JSON.stringify({ pid: process.pid, mark: markOf(process.pid) }));
  const basics: PrivateService = {
    url,
    port,
    start: () => startAfterKill(service, home),
    stop: async () => {
      await stopInstance(service, home);
    },
    kill: async () => {
      await stopInstance(service, home, 'SIGKILL');
    },
    remove: () => removePrivate(home),
  };
  try {
    await basics.start();
  } catch (error) {
    await basics.remove();
    throw error;
  }
  return { home, basics };
}

/**
 * The children of a killed PostgreSQL end when they notice; until then their shared memory keeps a successor from starting.
 * PostgreSQL then ends at once, so we start it again for a few seconds.
 */
async function startAfterKill(service: NativeService, home: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    try {
      await startInstance(service, home);
      return;
    } catch (error) {
      if (!messageOf(error).includes('pre-existing shared memory block') || performance.now() > deadline) throw error;
    }
    await delay(200);
  }
}

/** Ends private instances whose test run is gone. */
export async function sweepPrivate(settings: StackSettings): Promise<void> {
  const folder = privateFolder(settings);
  for (const name of listOf(folder)) {
    if (!name.endsWith('.user')) continue;
    const user = userOf(join(folder, name));
    if (user !== undefined && markOf(user.pid) === user.mark) continue;
    await removePrivate(join(folder, name.slice(0, -'.user'.length)));
  }
}

async function removePrivate(home: string): Promise<void> {
  await stopRecorded(home, 'SIGKILL', 10_000); // its data goes too, so there is nothing to save
  removeHome(home);
  removeHome(`${home}.user`);
}

function privateFolder(settings: StackSettings): string {
  return join(settings.home, 'private');
}

function listOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function userOf(file: string): { pid: number; mark: string } | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as { pid: number; mark: string };
  } catch {
    return undefined; // removed by its own run meanwhile
  }
}
