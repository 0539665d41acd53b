import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A request as it arrived, whole. */
export interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface TestServer {
  readonly url: string;
  readonly seen: Seen[];
  /** Connections opened so far. */
  readonly connections: number;
  close(): Promise<void>;
}

/** An HTTP server for one test: `answer` is called once the whole request is there and may do to the response whatever it likes. */
export async function httpServer(answer: (request: Seen, response: ServerResponse) => void): Promise<TestServer> {
  const seen: Seen[] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const whole = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() };
      seen.push(whole);
      answer(whole, response);
    });
  });
  server.on('connection', () => (connections += 1));
  await listen(server);
  return {
    url: urlOf(server),
    seen,
    get connections() {
      return connections;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The same on bare TCP, for answers no HTTP server would give: `answer` is called with the socket at the end of each request's head. */
export async function tcpServer(answer: (socket: Socket, head: string) => void): Promise<TestServer> {
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createTcpServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const [head, body] = text.split('\r\n\r\n');
      if (body === undefined) return;
      const [method = '', url = ''] = (head ?? '').split(' ');
      seen.push({ method, url, headers: {}, body });
      text = '';
      answer(socket, head ?? '');
    });
  });
  await listen(server);
  return {
    url: urlOf(server),
    seen,
    get connections() {
      return connections;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: 0, host: '127.0.0.1' }, resolve);
  });
}

const urlOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
