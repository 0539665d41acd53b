import type { Mapping } from './mapping.ts';

/** Where a look-up found its answer. */
export const SOURCES = ['memory', 'redis', 'mysql'] as const;
export type Source = (typeof SOURCES)[number];

/** What the catalogue tells while it works. */
export interface CatalogueObserver {
  /** So many look-ups were answered from there, with that. */
  answered(source: Source, kind: Mapping['kind'], count: number): void;
  /** A read or write of Redis failed, mostly because it is away. */
  redisFailed(operation: 'read' | 'write'): void;
}

export const SILENT: CatalogueObserver = { answered: () => undefined, redisFailed: () => undefined };
