import { setTimeout as delay } from 'node:timers/promises';
import { BrxError, messageOf } from '../src/errors.ts';
import { probeKafka } from './kafka.ts';
import { probeMysql } from './mariadb.ts';
import { probePostgresUrl } from './postgres.ts';
import { probeRedis } from './redis.ts';
import { probeRegistry } from './registry.ts';
import type { ServiceName, StackUrls } from './model.ts';

/** One real question to each service, wherever it runs. */
export function probesOf(urls: StackUrls): { name: ServiceName; address: string; probe: () => Promise<void> }[] {
  return [
    { name: 'kafka', address: urls.kafkaBrokers, probe: () => probeKafka(urls.kafkaBrokers) },
    { name: 'registry', address: withoutPassword(urls.registryUrl), probe: () => probeRegistry(urls.registryUrl) },
    { name: 'postgres', address: withoutPassword(urls.databaseUrl), probe: () => probePostgresUrl(urls.databaseUrl) },
    { name: 'mariadb', address: withoutPassword(urls.mysqlUrl), probe: () => probeMysql(urls.mysqlUrl) },
    { name: 'redis', address: withoutPassword(urls.redisUrl), probe: () => probeRedis(urls.redisUrl) },
  ];
}

/** Resolves once all answer; BRX_STACK that names those that did not within `withinMs`. */
export async function waitForAll(urls: StackUrls, withinMs: number): Promise<void> {
  const failures = await Promise.all(probesOf(urls).map(async ({ name, address, probe }) => {
    const deadline = performance.now() + withinMs;
    for (;;) {
      try {
        await probe();
        return undefined;
      } catch (error) {
        if (performance.now() > deadline) return `  ${name} at ${address}: ${messageOf(error) || 'no connection'}`;
      }
      await delay(200);
    }
  }));
  const silent = failures.filter((failure) => failure !== undefined);
  if (silent.length > 0) throw new BrxError('BRX_STACK', `no usable answer within ${withinMs / 1_000} s from:\n${silent.join('\n')}`, { remedy: 'see that these services run and that the addresses are right' });
}

/** A URL fit for people's eyes. */
export function withoutPassword(url: string): string {
  if (!URL.canParse(url)) return url;
  const parsed = new URL(url);
  if (parsed.password !== '') parsed.password = '***';
  return parsed.toString();
}
