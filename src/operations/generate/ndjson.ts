import { isInventoryChanged } from '../../contract/index.ts';
import { avroBytes } from './bytes.ts';
import type { GeneratedRecord } from './events.ts';

/**
 * One record a line, in the form `brx-sync produce` takes:
 *
 *   {"record":"InventoryChanged","value":{...}}            a record of the contract; its key is its user_id unless "key" says otherwise
 *   {"raw":"<base64>","key":"..."}                         these bytes as they are, unchecked; null is a tombstone
 *   {"raw":"<base64>","schema":"InventoryChanged","key":"..."}  these bytes behind the magic byte and the id of that schema
 *
 * Raw lines, and keys that are not the user_id, are how broken records get past a tool that only sends good ones: it takes them with
 * `--allow-raw`.
 */
type Line = { record: string; value: Readonly<Record<string, unknown>>; key?: string } | { raw: string | null; schema?: string; key: string };

export function toLine({ key, body }: Pick<GeneratedRecord, 'key' | 'body'>): string {
  return JSON.stringify(lineOf(key, body));
}

function lineOf(key: string, body: GeneratedRecord['body']): Line {
  if ('raw' in body) return { raw: body.raw?.toString('base64') ?? null, key };
  const sound = body.cut === undefined && (body.record !== 'InventoryChanged' || isInventoryChanged(body.value));
  if (!sound) return { raw: avroBytes(body).toString('base64'), schema: body.record, key };
  return body.value.user_id === key ? { record: body.record, value: body.value } : { record: body.record, value: body.value, key };
}
