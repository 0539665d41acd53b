import type { ApiDeps, SelfDeps } from '../../src/http/index.ts';
import { systemClock } from '../../src/platform/clock.ts';

/** A process that reads nothing from Kafka and has no pools. */
export const SELF: SelfDeps = { clock: systemClock, roles: ['http'], consumers: [], pools: new Map(), isWritable: true };

/** No sale can be operated. */
export const OPERATE: ApiDeps['operate'] = () => Promise.reject(new Error('nothing operates sales here'));
