import type { ServerResponse } from 'node:http';
import type { Clock } from '../platform/clock.ts';
import type { Answer } from './answers.ts';

/** The ways in which an answer leaves, or does not. */

/** Whole. False: the client was gone already. */
export function send(response: ServerResponse, answer: Answer): boolean {
  if (response.destroyed || response.socket === null || response.socket.destroyed) return false;
  response.writeHead(answer.status, headersOf(answer));
  response.end(answer.body);
  return true;
}

/** Not at all: the connection is reset (RST, not a polite FIN, so that no client takes it for an end). */
export function cut(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}

/** Half of it, then a reset; what is promised in Content-Length never comes. */
export async function sendHalf(response: ServerResponse, answer: Answer): Promise<void> {
  if (response.destroyed) return;
  response.writeHead(answer.status, headersOf(answer));
  const body = Buffer.from(answer.body);
  await new Promise<void>((resolve) => response.write(body.subarray(0, Math.floor(body.length / 2)), () => resolve()));
  cut(response);
}

const DRIBBLES = 8;

/** In small pieces spread over `ms`. False: the client did not wait. */
export async function dribble(response: ServerResponse, answer: Answer, ms: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
  if (response.destroyed) return false;
  response.writeHead(answer.status, headersOf(answer));
  response.flushHeaders();
  const body = Buffer.from(answer.body);
  const piece = Math.max(1, Math.ceil(body.length / DRIBBLES));
  for (let from = 0; from < body.length; from += piece) {
    await clock.sleep(ms / DRIBBLES, signal);
    if (response.destroyed) return false;
    response.write(body.subarray(from, from + piece));
  }
  response.end();
  return true;
}

function headersOf({ type, body, headers = {} }: Answer): Record<string, string | number> {
  return { 'content-type': type, 'content-length': Buffer.byteLength(body), ...headers };
}
