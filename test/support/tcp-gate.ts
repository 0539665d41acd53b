import { Transform } from 'node:stream';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Stands before a server and lets through, holds back, or turns away: a server that is slow, frozen or gone, without touching the one behind. */
export interface TcpGate {
  readonly port: number;
  /** Connections taken so far. */
  readonly taken: number;
  /** Connections open now. */
  readonly open: number;
  /** Nothing goes either way, as with a stopped process: connections are still taken. */
  freeze(): void;
  /** What was held back goes on. */
  thaw(): void;
  /** From now on what the server says comes so much later. */
  slow(ms: number): void;
  /** Cuts every connection and refuses new ones. */
  shut(): Promise<void>;
  /** Takes connections again, on the same port. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  server: Socket | undefined;
  /** Between what the server says and the client. */
  readonly delay: Transform;
}

export async function startTcpGate(target: { host: string; port: number }): Promise<TcpGate> {
  const pairs = new Set<Pair>();
  let taken = 0;
  let frozen = false;
  let delayMs = 0;
  let listener: Server | undefined;
  let port = 0;

  const join = (pair: Pair): void => {
    const server = connect(target);
    pair.server = server;
    pair.client.pipe(server).pipe(pair.delay).pipe(pair.client);
    server.on('error', () => pair.client.destroy());
    server.on('close', () => pair.client.destroy());
  };
  const take = (client: Socket): void => {
    taken += 1;
    const delay = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        if (delayMs === 0) done(null, chunk);
        else setTimeout(() => done(null, chunk), delayMs);
      },
    });
    const pair: Pair = { client, server: undefined, delay };
    pairs.add(pair);
    client.on('error', () => undefined);
    client.on('close', () => {
      pairs.delete(pair);
      pair.server?.destroy();
    });
    if (!frozen) join(pair);
  };
  const listen = async (): Promise<void> => {
    listener = createServer(take);
    await new Promise<void>((resolve) => listener?.listen(port, '127.0.0.1', resolve));
    port = (listener.address() as AddressInfo).port;
  };
  const shut = async (): Promise<void> => {
    const closing = listener;
    listener = undefined;
    const closed = closing === undefined ? undefined : new Promise<void>((resolve) => closing.close(() => resolve()));
    for (const { client } of pairs) client.destroy();
    await closed;
  };
  await listen();

  return {
    port,
    get taken() {
      return taken;
    },
    get open() {
      return pairs.size;
    },
    freeze() {
      frozen = true;
      for (const { client, server } of pairs) {
        client.unpipe();
        server?.unpipe();
        client.pause();
        server?.pause();
      }
    },
    thaw() {
      frozen = false;
      for (const pair of pairs) {
        if (pair.server === undefined) join(pair);
        else pair.client.pipe(pair.server).pipe(pair.delay);
      }
    },
    slow(ms) {
      delayMs = ms;
    },
    shut,
    reopen: listen,
    close: shut,
  };
}
