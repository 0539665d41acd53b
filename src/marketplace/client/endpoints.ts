import type { Bucket } from '../buckets.ts';

interface EndpointTraits {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly bucket: Bucket;
  /** Whether it changes anything there. */
  readonly write: boolean;
}

/** The calls there are, by the name they have in metrics. */
export const ENDPOINTS = {
  info: { method: 'GET', bucket: 'all', write: false },
  export: { method: 'GET', bucket: 'all', write: false },
  export_filtered: { method: 'GET', bucket: 'all', write: false },
  product_create: { method: 'POST', bucket: 'all', write: true },
  product_update: { method: 'PUT', bucket: 'all', write: true },
  product_delete: { method: 'DELETE', bucket: 'all', write: true },
  bulk_create: { method: 'POST', bucket: 'all', write: true },
  bulk_update: { method: 'POST', bucket: 'all', write: true },
  bulk_destroy: { method: 'POST', bucket: 'all', write: true },
  job: { method: 'GET', bucket: 'jobs', write: false },
  orders: { method: 'GET', bucket: 'all', write: false },
  order: { method: 'GET', bucket: 'all', write: false },
} as const satisfies Record<string, EndpointTraits>;

export type Endpoint = keyof typeof ENDPOINTS;
