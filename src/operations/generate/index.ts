/** Seeded workloads of marketplace events, and what must come of them. */
export { schemaIds, valueBytes, type SchemaIds } from './bytes.ts';
export { generateEvents, type Body, type GeneratedRecord } from './events.ts';
export { createExpectation, expectationText, type Expectation, type ExpectedStock } from './expect.ts';
export { toLine } from './ndjson.ts';
export { WORKLOAD_DEFAULTS, workloadOptions, type WorkloadOptions } from './options.ts';
export { POISON } from './poison.ts';
export { publishWorkload, type PublishOptions, type PublishProgress } from './publish.ts';
