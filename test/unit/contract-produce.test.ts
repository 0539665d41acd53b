import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { LATEST, type RecordName } from '../../src/contract/index.ts';
import { checkLines, publishLines, type Source } from '../../src/operations/produce/index.ts';
import { readLine, splitLines, type RawLine } from '../../src/operations/produce/lines.ts';
import type { OutgoingMessage, Registry } from '../../src/platform/kafka/index.ts';

const event = {
  event_id: '0192d3a4-0000-7000-8000-000000000001',
  user_id: '0192d3a4-0000-7000-8000-00000000000a',
  item_id: '0192d3a4-0000-7000-8000-0000000000ff',
  kind: 'SET',
  quantity: 4,
  source: 'shop',
  occurred_at: Date.UTC(2026, 0, 1),
};
const line = (change: Record<string, unknown> = {}, around: Record<string, unknown> = {}): string => JSON.stringify({ record: 'InventoryChanged', value: { ...event, ...change }, ...around });
const source = (...chunks: (string | Buffer)[]): Source => ({ name: 'test', open: () => Readable.from(chunks.map((chunk) => Buffer.from(chunk))) as AsyncIterable<Buffer>, close: () => Promise.resolve() });

describe('a line', () => {
  test('is keyed by its user_id, and what it leaves out is null', () => {
    expect(readLine(line(), { allowRaw: false })).toMatchObject({ ok: true, prepared: { record: 'InventoryChanged', key: event.user_id, value: { ...event, version: null, properties: null } } });
  });

  test.each<[string, string, RegExp]>([
    ['not JSON', '{', /^not JSON/],
    ['a list', '[]', /^not an object; a line looks like/],
    ['no record', '{"value":{}}', /^record: is missing/],
    ['a name nobody knows', '{"record":"InventoryChange","value":{}}', /"InventoryChange" is not what producers write; it must be one of InventoryChanged, PurchaseRequested, PurchaseCancelled/],
    ['a record only BRX Sync writes', '{"record":"InventoryLevel","value":{}}', /is not what producers write/],
    ['a property beside record, value, key', line({}, { topic: 'x' }), /unknown field "topic"/],
    ['no event_id: a producer must own its ids', line({ event_id: undefined }), /^event_id: is missing$/],
    ['no occurred_at', line({ occurred_at: undefined }), /^occurred_at: is missing$/],
    ['a mistyped field', line({ prise_cents: 1 }), /^unknown field "prise_cents"$/],
    ['a broken rule', line({ quantity: -1 }), /^quantity: SET needs 0 or more/],
    ['another key', line({}, { key: 'x' }), /^key: "x" is not the user_id/],
    ['a traceparent nobody would understand', line({}, { traceparent: '00-abc-def-01' }), /^traceparent: "00-abc-def-01" is not one of W3C Trace Context/],
    ['raw bytes without the flag', '{"raw":"AAAA","key":"x"}', /only with --allow-raw/],
    ['a property __proto__', `{"record":"InventoryChanged","value":{"properties":{"__proto__":"x"},${JSON.stringify(event).slice(1)}}`, /__proto__/],
  ])('%s is refused', (_what, text, problem) => {
    const read = readLine(text, { allowRaw: false });
    expect(read.ok ? 'accepted' : read.problem).toMatch(problem);
  });

  test.each<[string, string, object]>([
    ['raw bytes', '{"raw":"AAEC","key":"x"}', { kind: 'raw', bytes: Buffer.from([0, 1, 2]), schema: null, key: 'x' }],
    ['a tombstone', '{"raw":null,"key":null}', { kind: 'raw', bytes: null, schema: null, key: null }],
    ['raw bytes behind a schema', '{"raw":"AQ==","schema":"InventoryChanged","key":"x"}', { kind: 'raw', bytes: Buffer.from([1]), schema: 'InventoryChanged', key: 'x' }],
    ['another key', line({}, { key: 'x' }), { kind: 'record', key: 'x' }],
    ['a broken traceparent', line({}, { traceparent: '00-abc-def-01' }), { kind: 'record', traceparent: '00-abc-def-01' }],
  ])('with --allow-raw %s is taken', (_what, text, prepared) => {
    expect(readLine(text, { allowRaw: true })).toMatchObject({ ok: true, prepared });
  });
});

describe('splitting into lines', () => {
  const split = async (...chunks: (string | Buffer)[]): Promise<RawLine[]> => {
    const lines: RawLine[] = [];
    for await (const each of splitLines(source(...chunks).open())) lines.push(each);
    return lines;
  };

  test('counts blank lines but leaves them out, joins what chunks cut apart, takes a last line without newline and CRLF', async () => {
    const cards = Buffer.from('🃏\r\n');
    expect(await split('a\n\n', 'b', 'c\n', cards.subarray(0, 2), cards.subarray(2), 'last')).toEqual([
      { number: 1, text: 'a', problem: '' },
      { number: 3, text: 'bc', problem: '' },
      { number: 4, text: '🃏\r', problem: '' },
      { number: 5, text: 'last', problem: '' },
    ]);
  });

  test('a line that is not UTF-8 or endless is one bad line, and memory stays bounded', async () => {
    const megabyte = Buffer.alloc(1024 * 1024, 'x');
    const lines = await split(Buffer.from([0xff, 0x0a]), ...Array.from({ length: 20 }, () => megabyte), '\nok\n');
    expect(lines.map(({ number, problem }) => ({ number, problem }))).toEqual([
      { number: 1, problem: 'not UTF-8' },
      { number: 2, problem: 'longer than 4194304 bytes' },
      { number: 3, problem: '' },
    ]);
  });
});

describe('publishing', () => {
  const registry: Pick<Registry, 'versions'> = { versions: (subject) => Promise.resolve([{ version: 1, id: 42, schema: LATEST[subject.split('.').at(-1) as RecordName].avro }]) };
  const publish = async (from: Source, options: { skipBad?: boolean; allowRaw?: boolean } = {}, versions: Registry['versions'] = (subject) => registry.versions(subject)) => {
    const sent: OutgoingMessage[] = [];
    const result = publishLines({
      source: from,
      topic: 't',
      allowRaw: options.allowRaw ?? false,
      skipBad: options.skipBad ?? false,
      producer: { sendBatch: (batch) => (sent.push(...batch), Promise.resolve()) },
      registry: { versions },
      signal: new AbortController().signal,
      onProgress: () => undefined,
    });
    return { result, sent };
  };

  test('all bad lines are counted, the first 20 told with their numbers, and nothing is published', async () => {
    const bad = Array.from({ length: 30 }, () => `${line({ quantity: -1 })}\n`);
    const { result, sent } = await publish(source(`${line()}\n`, ...bad));
    await expect(result).rejects.toMatchObject({ code: 'BRX_CONTRACT', message: expect.stringMatching(/^30 of 31 lines of test break the contract:\n {2}line 2: quantity.*and 10 more$/s) as string });
    expect(sent).toEqual([]);
    expect(await checkLines(source(...bad), { allowRaw: false })).toMatchObject({ lines: 30, good: 0, bad: 30, problems: { length: 20 } });
  });

  test('with --skip-bad the good ones go out, in order', async () => {
    const second = '0192d3a4-0000-7000-8000-000000000002';
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const { result, sent } = await publish(source(`${line()}\nnonsense\n${line({ event_id: second }, { traceparent })}\n`), { skipBad: true });
    expect(await result).toMatchObject({ published: 2, bad: 1, problems: [{ line: 2 }] });
    expect(sent.map(({ key, headers }) => ({ key, headers }))).toEqual([
      { key: event.user_id, headers: { 'brx-event-id': event.event_id } },
      { key: event.user_id, headers: { 'brx-event-id': second, traceparent } },
    ]);
    expect(sent[0]?.value?.subarray(0, 5).toString('hex')).toBe('000000002a');
  });

  test('a schema that is not registered is refused with the command that registers it', async () => {
    const { result, sent } = await publish(source(line()), {}, () => Promise.resolve([{ version: 1, id: 42, schema: {} }]));
    await expect(result).rejects.toMatchObject({ code: 'BRX_REFUSED', remedy: 'run `brx-sync schemas apply`' });
    expect(sent).toEqual([]);
  });
});
