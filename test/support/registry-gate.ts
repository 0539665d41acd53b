import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { stackUrls } from './stack.ts';

/** Stands before the schema registry; while shut it takes requests and does not answer them. */
export interface RegistryGate {
  readonly url: string;
  /** Requests that wait for the gate to open. */
  readonly waiting: number;
  shut(): void;
  open(): void;
  close(): Promise<void>;
}

export async function startRegistryGate(): Promise<RegistryGate> {
  const upstream = new URL(stackUrls().registryUrl);
  const held: (() => void)[] = [];
  let isShut = false;

  const pass = async (path: string, response: ServerResponse): Promise<void> => {
    const answer = await fetch(new URL(path, upstream.origin), { headers: { accept: 'application/vnd.schemaregistry.v1+json' } });
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'application/json' }).end(await answer.text());
  };
  const server = createServer((request, response) => {
    const go = (): void => void pass(request.url ?? '/', response).catch(() => response.destroy());
    if (!isShut) return go();
    held.push(go);
    request.on('close', () => {
      const at = held.indexOf(go);
      if (at >= 0 && response.destroyed) held.splice(at, 1); // the asker has given up
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${upstream.pathname}`,
    get waiting() {
      return held.length;
    },
    shut() {
      isShut = true;
    },
    open() {
      isShut = false;
      for (const go of held.splice(0)) go();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
