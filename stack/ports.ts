import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';

/** A port a service needs, and the variable that moves it. */
export interface ServicePort {
  port: number;
  variable: string;
  title: string;
}

export interface TakenPort extends ServicePort {
  holder: string | undefined;
}

export async function takenPorts(ports: readonly ServicePort[]): Promise<TakenPort[]> {
  const taken: TakenPort[] = [];
  for (const each of ports) if (!(await isFree(each.port))) taken.push({ ...each, holder: holderOf(each.port) });
  return taken;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** `count` different ports nobody listens on right now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
      const server = createServer();
      server.once('error', reject);
      server.listen({ port: 0, host: '127.0.0.1' }, () => resolve(server));
    })),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP server without a port');
    return address.port;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** "process 812 (redis-server)" for whoever listens on `port`, where the system lets us see it (Linux, own processes or root). */
export function holderOf(port: number): string | undefined {
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) for (const inode of listeningInodes(readable(table) ?? '', port)) inodes.add(inode);
  if (inodes.size === 0) return undefined;
  for (const pid of list('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const descriptor of list(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${descriptor}`) ?? '')?.[1];
      if (inode !== undefined && inodes.has(inode)) return `process ${pid} (${(readable(`/proc/${pid}/comm`) ?? 'unknown').trim()})`;
    }
  }
  return undefined;
}

/** Socket inodes in state LISTEN (0A) on `port`, from the text of /proc/net/tcp. */
export function listeningInodes(table: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  return table.split('\n').slice(1).flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    return fields[3] === '0A' && fields[1]?.endsWith(`:${wanted}`) === true && fields[9] !== undefined ? [fields[9]] : [];
  });
}

export function takenMessage(taken: readonly TakenPort[]): { message: string; remedy: string } {
  const lines = taken.map(({ port, title, holder }) => `  ${port} for ${title} is held by ${holder ?? 'a process we may not look at'}`);
  const moves = taken.map(({ variable, port }) => `${variable}=${port + 1_000 > 65_535 ? port - 1_000 : port + 1_000}`);
  return {
    message: `${taken.length === 1 ? 'a port is' : `${taken.length} ports are`} already taken:\n${lines.join('\n')}`,
    remedy: `end what holds ${taken.length === 1 ? 'it' : 'them'}, or choose other ports, for example ${moves.join(' ')} npm run stack:up`,
  };
}

function readable(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // not ours to read
  }
}

function link(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
