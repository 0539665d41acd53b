import { request } from 'node:http';
import { BrxError } from '../src/errors.ts';
import { run } from './run.ts';
import type { Environment, StackSettings } from './settings.ts';

/** Whether a Docker engine answers: `GET /_ping` on DOCKER_HOST or the usual socket. A client alone is no engine. */
export async function engineAnswers(environment: Environment): Promise<boolean> {
  const target = engineTarget(environment['DOCKER_HOST']);
  return new Promise((resolve) => {
    const call = request({ ...target, path: '/_ping', timeout: 2_000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(false));
    call.end();
  });
}

/** Where an engine listens; TLS endpoints (DOCKER_TLS_VERIFY) are left to the clients and count as "does not answer" here. */
export function engineTarget(dockerHost: string | undefined): { socketPath: string } | { host: string; port: number } {
  if (dockerHost === undefined || dockerHost === '') return { socketPath: '/var/run/docker.sock' };
  const url = new URL(dockerHost);
  return url.protocol === 'unix:' ? { socketPath: url.pathname } : { host: url.hostname, port: Number(url.port || 2375) };
}

/** The Compose to call: the plugin (v2 and later), or BRX_STACK that says how to get it. */
export async function findCompose(settings: StackSettings): Promise<string | undefined> {
  try {
    const version = (await run('docker', ['compose', 'version', '--short'], { environment: settings.environment })).trim();
    return /^v?[2-9]/.test(version) ? version : undefined;
  } catch {
    return undefined; // no client, or a client without the plugin
  }
}

export function noCompose(): BrxError {
  return new BrxError('BRX_STACK', 'a Docker engine answers, but `docker compose` (version 2 or later) does not', {
    remedy: 'install the Compose plugin (package docker-compose-plugin or docker-compose-v2), or use BRX_STACK=native',
  });
}
