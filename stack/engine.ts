import { request } from 'node:http';
import { BrxError } from '../src/errors.ts';
import { run } from './run.ts';
import type { Environment, StackSettings } from './settings.ts';

type Target = { socketPath: string } | { host: string; port: number };

/** Whether a Docker engine answers: `GET /_ping` on DOCKER_HOST or the usual sockets. A client alone is no engine. */
export async function engineAnswers(environment: Environment): Promise<boolean> {
  const answers = await Promise.all(engineTargets(environment).map(ping));
  return answers.includes(true);
}

function ping(target: Target): Promise<boolean> {
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

/** Where an engine listens: DOCKER_HOST alone if given, else the sockets of the system, of Docker Desktop and of a rootless engine. */
export function engineTargets(environment: Environment): Target[] {
  const given = environment['DOCKER_HOST'];
  if (given !== undefined && URL.canParse(given)) {
    const url = new URL(given);
    return url.protocol === 'unix:' ? [{ socketPath: url.pathname }] : [{ host: url.hostname, port: Number(url.port || 2375) }];
  }
  const sockets = ['/var/run/docker.sock'];
  if (environment['HOME']) sockets.push(`${environment['HOME']}/.docker/run/docker.sock`);
  if (environment['XDG_RUNTIME_DIR']) sockets.push(`${environment['XDG_RUNTIME_DIR']}/docker.sock`);
  return sockets.map((socketPath) => ({ socketPath }));
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
