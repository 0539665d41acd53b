import { describe, expect, test } from 'vitest';
import { formatTraceparent, parseTraceparent, storedTrace, traceFields, traceOf, traceparentOf } from '../../../src/platform/tracing/index.ts';

/** Protects: a header of W3C Trace Context is read as the standard says, and one that is broken is no trace, never an error. */
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const GOOD = `00-${TRACE}-${SPAN}-01`;
const READ = { traceId: TRACE, spanId: SPAN, sampled: true };

describe('a header', () => {
  test.each([
    ['sampled', GOOD, READ],
    ['not sampled', `00-${TRACE}-${SPAN}-00`, { ...READ, sampled: false }],
    ['with flags nobody knows yet', `00-${TRACE}-${SPAN}-ff`, READ],
    ['with unknown flags alone', `00-${TRACE}-${SPAN}-fe`, { ...READ, sampled: false }],
    ['of a later version', `01-${TRACE}-${SPAN}-01`, READ],
    ['of a later version that says more', `cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, READ],
    ['of a later version with a dash and nothing behind it', `cc-${TRACE}-${SPAN}-01-`, READ],
  ])('%s', (_what, text, expected) => {
    expect(parseTraceparent(text)).toEqual(expected);
  });

  test.each([
    ['empty', ''],
    ['a word', 'abc'],
    ['too short a trace', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['too long a trace', `00-${TRACE}0-${SPAN}-01`],
    ['too short a span', `00-${TRACE}-${SPAN.slice(1)}-01`],
    ['no flags', `00-${TRACE}-${SPAN}`],
    ['one digit of flags', `00-${TRACE}-${SPAN}-1`],
    ['three digits of flags', `00-${TRACE}-${SPAN}-011`],
    ['capitals', GOOD.toUpperCase()],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['the version that is none', `ff-${TRACE}-${SPAN}-01`],
    ['more than this version has', `${GOOD}-more`],
    ['a later version that goes on without a dash', `cc-${TRACE}-${SPAN}-01.more`],
    ['a space before', ` ${GOOD}`],
    ['a space behind', `${GOOD} `],
    ['a line end behind', `${GOOD}\n`],
    ['two in one', `${GOOD},${GOOD}`],
    ['what is no digit', `00-${TRACE.replace('0', 'g')}-${SPAN}-01`],
  ])('none: %s', (_what, text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });

  test('is written in the form of level 1: version 00, the one flag it knows', () => {
    expect(formatTraceparent(READ)).toBe(GOOD);
    expect(traceparentOf({ traceparent: `cc-${TRACE}-${SPAN}-ff-more` })).toBe(GOOD);
    expect(traceparentOf({ traceparent: `00-${TRACE}-${SPAN}-02` })).toBe(`00-${TRACE}-${SPAN}-00`);
  });
});

describe('headers of a record', () => {
  test.each([
    ['bytes, as the client gives them', { traceparent: Buffer.from(GOOD) }],
    ['a text', { traceparent: GOOD, other: null }],
  ])('%s', (_what, headers) => {
    expect(traceOf(headers)).toEqual(READ);
  });

  test.each<[string, Record<string, unknown>]>([
    ['no header', {}],
    ['one without a value', { traceparent: null }],
    ['under another name', { Traceparent: GOOD }],
    ['twice: nobody can tell which is meant', { traceparent: [Buffer.from(GOOD), Buffer.from(GOOD)] }],
    ['a megabyte', { traceparent: Buffer.concat([Buffer.from(`cc-${TRACE}-${SPAN}-01-`), Buffer.alloc(1_000_000, 'x')]) }],
    ['bytes that are no text', { traceparent: Buffer.from([0xff, 0xfe, 0]) }],
    ['text beyond ASCII that looks like digits', { traceparent: Buffer.from(GOOD.replace('a', 'а')) }],
    ['something else', { traceparent: 7 }],
  ])('none: %s', (_what, headers) => {
    expect(traceOf(headers)).toBeUndefined();
    expect(traceparentOf(headers)).toBeNull();
  });
});

test('what was kept is read again; a log line has the trace, or nothing', () => {
  expect([storedTrace(GOOD), storedTrace(null), storedTrace(undefined), storedTrace('edited by hand')]).toEqual([READ, undefined, undefined, undefined]);
  expect([traceFields(GOOD), traceFields(null)]).toEqual([{ trace_id: TRACE }, {}]);
});
