/** The part of Avro's schema language that the contract uses (JSON, as in schemas/*.avsc). */
export type AvroType =
  | 'null'
  | 'int'
  | 'long'
  | 'string'
  | AvroRecord
  | readonly AvroType[]
  | { readonly type: 'string' | 'long'; readonly logicalType: 'uuid' | 'timestamp-millis' }
  | { readonly type: 'enum'; readonly name: string; readonly doc: string; readonly symbols: readonly string[] }
  | { readonly type: 'array'; readonly items: AvroType }
  | { readonly type: 'map'; readonly values: AvroType };

export interface AvroRecord {
  readonly type: 'record';
  readonly name: string;
  readonly namespace?: string;
  readonly doc: string;
  readonly fields: readonly AvroField[];
}

export interface AvroField {
  readonly name: string;
  readonly type: AvroType;
  readonly default?: unknown;
  readonly doc: string;
}
