import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BrxError, messageOf } from '../../errors.ts';

/** Input that can be read more than once: first to check every line, then to publish. */
export interface Source {
  /** For messages: the file's name, or "standard input". */
  readonly name: string;
  open(): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/** A file. Throws BRX_USAGE when it cannot be read. */
export async function fileSource(path: string): Promise<Source> {
  try {
    if ((await stat(path)).isDirectory()) throw new Error('it is a folder');
  } catch (error) {
    throw new BrxError('BRX_USAGE', `${path} cannot be read: ${messageOf(error)}`, { remedy: 'name a file, or - for standard input' });
  }
  return { name: path, open: () => createReadStream(path), close: () => Promise.resolve() };
}

/** A stream, kept in a temporary file on the way: it comes once, may be larger than memory, and is read twice. */
export async function streamSource(stream: Readable, name: string): Promise<Source> {
  const folder = await mkdtemp(join(tmpdir(), 'brx-produce-'));
  const path = join(folder, 'input.ndjson');
  const close = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    await pipeline(stream, createWriteStream(path, { mode: 0o600 }));
  } catch (error) {
    await close();
    throw error;
  }
  return { name, open: () => createReadStream(path), close };
}
