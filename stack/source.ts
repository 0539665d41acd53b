import { BrxError } from '../src/errors.ts';
import { URL_VARIABLES, containerUrls, nativeUrls, type StackSource, type StackUrls, type UrlKey } from './model.ts';
import type { StackSettings } from './settings.ts';

/** What the choice depends on beside the settings; asked only when it matters. */
export interface Surroundings {
  /** A native stack of this checkout already runs. */
  nativeRuns: () => boolean;
  /** A Docker engine answers. */
  engineAnswers: () => Promise<boolean>;
}

/**
 * Where the services come from: what BRX_STACK says; else URLs of the environment; else a native stack that already runs; else
 * containers if an engine answers; else native.
 */
export async function chooseSource(settings: StackSettings, surroundings: Surroundings): Promise<StackSource> {
  if (settings.source === 'environment') {
    environmentUrls(settings);
    return 'environment';
  }
  if (settings.source === 'containers') {
    if (await surroundings.engineAnswers()) return 'containers';
    throw new BrxError('BRX_STACK', 'BRX_STACK=containers, but no Docker engine answers', { remedy: 'start Docker (or set DOCKER_HOST), or unset BRX_STACK' });
  }
  if (settings.source === 'native') return 'native';
  if (foreignUrls(settings).length > 0) {
    environmentUrls(settings);
    return 'environment';
  }
  if (surroundings.nativeRuns()) return 'native';
  return (await surroundings.engineAnswers()) ? 'containers' : 'native';
}

/** The five URLs of the environment; all of them, or BRX_CONFIG that names those missing. */
export function environmentUrls(settings: StackSettings): StackUrls {
  const given = settings.urls;
  const missing = (Object.keys(URL_VARIABLES) as UrlKey[]).filter((key) => given[key] === undefined).map((key) => URL_VARIABLES[key]);
  const { kafkaBrokers, registryUrl, databaseUrl, mysqlUrl, redisUrl } = given;
  if (kafkaBrokers === undefined || registryUrl === undefined || databaseUrl === undefined || mysqlUrl === undefined || redisUrl === undefined) {
    const present = foreignUrls(settings).map((key) => URL_VARIABLES[key]);
    const because = present.length === 0 ? 'BRX_STACK=environment' : `${present.join(', ')} ${present.length === 1 ? 'points' : 'point'} at services of yours`;
    throw new BrxError('BRX_CONFIG', `${because}, but ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not set`, {
      remedy: 'set all five, or none to use the local stack (BRX_STACK=native or containers ignores them)',
    });
  }
  return { source: 'environment', kafkaBrokers, registryUrl, databaseUrl, mysqlUrl, redisUrl };
}

/** Given URLs that are not the local stack's own: `stack:up` writes those into .env, so they say nothing about other services. */
function foreignUrls(settings: StackSettings): UrlKey[] {
  const own = [nativeUrls(settings.ports), containerUrls(settings.ports)];
  return (Object.keys(URL_VARIABLES) as UrlKey[]).filter((key) => {
    const value = settings.urls[key];
    return value !== undefined && own.every((urls) => urls[key] !== value);
  });
}
