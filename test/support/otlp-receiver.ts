import type { IncomingMessage, ServerResponse } from 'node:http';
import { httpServer } from './rude-server.ts';

/** A span as the exporter sent it, in plain values. */
export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** OTLP's number: 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** Milliseconds since 1970. */
  readonly start: number;
  readonly end: number;
  readonly problem: string | undefined;
}

export interface OtlpReceiver {
  /** For BRX_OTLP_ENDPOINT. */
  readonly endpoint: string;
  /** Everything that was taken, in order of arrival. */
  readonly spans: readonly ReceivedSpan[];
  readonly requests: readonly { readonly url: string; readonly headers: IncomingMessage['headers']; readonly body: string }[];
  /** From the next request on: `ok` takes it, `refuse` answers 400, `hang` never answers. */
  behave(how: 'ok' | 'refuse' | 'hang'): void;
  /** Attributes of the process that sent them. */
  resource(): Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

type WireValue = { stringValue?: string; intValue?: number | string; boolValue?: boolean; doubleValue?: number };
type WireAttributes = readonly { key: string; value: WireValue }[];
interface WireSpan {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  kind: number;
  links?: { traceId: string; spanId: string }[];
  attributes: WireAttributes;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  status: { code?: number; message?: string };
}
interface Wire {
  resourceSpans: { resource: { attributes: WireAttributes }; scopeSpans: { spans: WireSpan[] }[] }[];
}

/** What receives spans by OTLP over HTTP, as JSON: a collector as far as an exporter can tell. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  let how: 'ok' | 'refuse' | 'hang' = 'ok';
  let resource: Readonly<Record<string, unknown>> = {};
  const answer = ({ method, url, headers, body }: { method: string; url: string; headers: IncomingMessage['headers']; body: string }, response: ServerResponse): void => {
    if (how === 'hang') return;
    if (how === 'refuse' || method !== 'POST' || url !== '/v1/traces' || headers['content-type'] !== 'application/json') return void response.writeHead(400).end('{"message":"hush-hush in an answer"}');
    for (const { resource: from, scopeSpans } of (JSON.parse(body) as Wire).resourceSpans) {
      resource = plain(from.attributes);
      spans.push(...scopeSpans.flatMap((scope) => scope.spans.map(received)));
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  };
  const server = await httpServer(answer);
  return {
    endpoint: server.url,
    spans,
    requests: server.seen,
    behave: (next) => (how = next),
    resource: () => resource,
    close: () => server.close(),
  };
}

const received = ({ name, traceId, spanId, parentSpanId, kind, links = [], attributes, startTimeUnixNano, endTimeUnixNano, status }: WireSpan): ReceivedSpan => ({
  name,
  traceId,
  spanId,
  parentSpanId: parentSpanId === '' ? undefined : parentSpanId,
  kind,
  links: links.map((link) => ({ traceId: link.traceId, spanId: link.spanId })),
  attributes: plain(attributes) as ReceivedSpan['attributes'],
  start: milliseconds(startTimeUnixNano),
  end: milliseconds(endTimeUnixNano),
  problem: status.code === 2 ? (status.message ?? '') : undefined,
});

const plain = (attributes: WireAttributes): Record<string, unknown> => Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.boolValue ?? Number(value.intValue ?? value.doubleValue)]));

/** Of nanoseconds since 1970, which are more digits than a number has: the whole milliseconds of it exactly. */
const milliseconds = (nanoseconds: string): number => Number(BigInt(nanoseconds) / 1_000_000n) + Number(BigInt(nanoseconds) % 1_000_000n) / 1e6;
