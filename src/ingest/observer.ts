import type { ConsumerObserver } from '../platform/consumer/index.ts';
import type { ChunkResult } from './chunk.ts';
import type { MarketplaceRecord } from './record.ts';

/** What one committed chunk of the ingest role has come to; `types[i]` and `outcomes[i]` belong to the chunk's record i. */
export interface IngestResult extends ChunkResult {
  readonly types: readonly (MarketplaceRecord | 'unusable')[];
  /** Events that are not where murmur2 of their key puts them. */
  readonly misrouted: number;
}

/** What the ingest role tells whoever watches it. */
export interface IngestObserver extends ConsumerObserver<IngestResult> {
  transactionRetried(reason: string): void;
}
