import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatTraceparent, linksTo, MAX_LINKS, parseTraceparent, traceOf, traceparentOf, type TraceContext } from '../../src/platform/tracing/index.ts';
import { seed } from '../support/seed.ts';

/** Protects: reading `traceparent` never throws, and takes exactly what the standard's grammar takes. */
const DIGITS = '0123456789abcdef'.split('');
const hex = (length: number) => fc.string({ unit: fc.constantFrom(...DIGITS), minLength: length, maxLength: length });
const nonZero = (length: number) => hex(length).filter((digits) => /[1-9a-f]/.test(digits));
const context: fc.Arbitrary<TraceContext> = fc.record({ traceId: nonZero(32), spanId: nonZero(16), sampled: fc.boolean() });
const settings = { seed, numRuns: 1_000 };

test('what is written is read as it was', () => {
  fc.assert(
    fc.property(context, (given) => {
      expect(parseTraceparent(formatTraceparent(given))).toEqual(given);
    }),
    settings,
  );
});

/** The grammar once more, a field at a time, without a regular expression. */
function oracle(text: string): TraceContext | undefined {
  const isHex = (part: string, length: number): boolean => part.length === length && part.split('').every((digit) => DIGITS.includes(digit));
  const [version = '', traceId = '', spanId = '', flags = '', ...more] = text.split('-');
  if (!isHex(version, 2) || !isHex(traceId, 32) || !isHex(spanId, 16) || !isHex(flags, 2)) return undefined;
  if (version === 'ff' || (version === '00' && more.length > 0)) return undefined;
  if (BigInt(`0x${traceId}`) === 0n || BigInt(`0x${spanId}`) === 0n) return undefined;
  return { traceId, spanId, sampled: Number.parseInt(flags, 16) % 2 === 1 };
}

test('near misses are told from good ones as a second reading of the grammar tells them', () => {
  const part = fc.oneof(hex(2), hex(16), hex(32), fc.constantFrom('00', '01', 'ff', '0'.repeat(16), '0'.repeat(32), '', 'FF', 'g0'));
  const built = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('-'));
  const nearly = fc.tuple(fc.oneof(hex(2), fc.constantFrom('00', 'ff')), hex(32), hex(16), hex(2), fc.option(fc.string({ maxLength: 8 }))).map(([version, trace, span, flags, more]) => `${version}-${trace}-${span}-${flags}${more === null ? '' : `-${more}`}`);
  const edited = fc.tuple(context, fc.nat({ max: 55 }), fc.string({ maxLength: 2 })).map(([given, at, text]) => formatTraceparent(given).slice(0, at) + text + formatTraceparent(given).slice(at + 1));
  fc.assert(
    fc.property(fc.oneof(built, nearly, edited), (text) => {
      expect(parseTraceparent(text)).toEqual(oracle(text));
    }),
    settings,
  );
});

test('whatever a header holds, it is a trace or none: nothing is thrown, and what is kept is always readable', () => {
  const value = fc.oneof(fc.anything(), fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)), context.map((given) => Buffer.from(formatTraceparent(given))));
  fc.assert(
    fc.property(value, (traceparent) => {
      const kept = traceparentOf({ traceparent });
      expect(kept === null ? undefined : parseTraceparent(kept)).toEqual(traceOf({ traceparent }));
    }),
    settings,
  );
});

test('links: only what somebody records, each once, in order, never more than the bound', () => {
  const few = fc.array(context, { minLength: 1, maxLength: 5 }).chain((some) => fc.array(fc.option(fc.constantFrom(...some), { nil: undefined }), { maxLength: 200 }));
  fc.assert(
    fc.property(fc.oneof(few, fc.array(context, { maxLength: 200 })), (traces) => {
      const links = linksTo(traces);
      const distinct = [...new Map(traces.flatMap((trace) => (trace?.sampled === true ? [[formatTraceparent(trace), trace] as const] : []))).values()];
      expect(links.map(formatTraceparent)).toEqual(distinct.slice(0, MAX_LINKS).map(formatTraceparent));
    }),
    { ...settings, numRuns: 300 },
  );
});
