/**
 * A JSON list read as its bytes come: `[...]`, or the same as the value of the one key of an object that is in `keys` (`{"array": [...]}`). Each
 * entry is parsed by itself as soon as it is whole, so no more than one of them is held. Pure.
 *
 * Bytes are looked at rather than characters: what separates entries is ASCII, and no byte of a longer UTF-8 character is.
 */
export class JsonList {
  readonly #keys: readonly string[];
  #state: 'before' | 'first' | 'entry' | 'after' = 'before';
  #head = '';
  #wrapped = false;
  #closed = false;
  #parts: Buffer[] = [];
  #size = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #problem: string | undefined;

  constructor(keys: readonly string[]) {
    this.#keys = keys;
  }

  /** The entries this part has completed; none once something is wrong, which `end` tells. */
  push(part: Buffer): unknown[] {
    const entries: unknown[] = [];
    let begin = this.#state === 'entry' ? 0 : -1;
    for (let at = 0; at < part.length && this.#problem === undefined; at += 1) {
      const byte = part[at] ?? 0;
      switch (this.#state) {
        case 'before':
          this.#begin(byte);
          break;
        case 'first':
          if (isBlank(byte)) break;
          if (byte === CLOSE_LIST) {
            this.#state = 'after';
            break;
          }
          this.#state = 'entry';
          begin = at;
          this.#step(byte);
          break;
        case 'entry':
          if (!this.#inString && this.#depth === 0 && (byte === COMMA || byte === CLOSE_LIST)) {
            this.#keep(part.subarray(begin, at));
            begin = at + 1;
            this.#complete(entries);
            if (byte === CLOSE_LIST) this.#state = 'after';
          } else this.#step(byte);
          break;
        case 'after':
          if (byte === CLOSE_OBJECT && this.#wrapped && !this.#closed) this.#closed = true;
          else if (!isBlank(byte)) this.#break('goes on behind its list');
          break;
      }
    }
    if (this.#state === 'entry' && this.#problem === undefined) this.#keep(part.subarray(begin));
    return entries;
  }

  /** What is wrong with it now that nothing more comes; undefined: it was a whole list. */
  end(): string | undefined {
    if (this.#problem !== undefined) return this.#problem;
    if (this.#state === 'before') return this.#head === '' ? 'is empty' : NO_LIST;
    return this.#state === 'after' && (this.#closed || !this.#wrapped) ? undefined : 'is cut off';
  }

  /** Up to the bracket that opens the list. */
  #begin(byte: number): void {
    this.#head += String.fromCharCode(byte);
    if (byte === OPEN_LIST) {
      const [, key] = /^\s*(?:\{\s*"(\w+)"\s*:\s*)?\[$/.exec(this.#head) ?? [undefined, null];
      if (key === null || (key !== undefined && !this.#keys.includes(key))) return this.#break(NO_LIST);
      this.#wrapped = key !== undefined;
      this.#state = 'first';
    } else if (this.#head.length > MOST_HEAD || !/^\s*(?:\{\s*(?:"\w*(?:"\s*(?::\s*)?)?)?)?$/.test(this.#head)) this.#break(NO_LIST);
  }

  #step(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (this.#inString) {
      if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
    } else if (byte === QUOTE) this.#inString = true;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) this.#depth += 1;
    else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) this.#depth -= 1;
  }

  #keep(bytes: Buffer): void {
    this.#size += bytes.length;
    if (this.#size > MOST_ENTRY) this.#break(`has an entry of more than ${MOST_ENTRY} bytes`);
    else if (bytes.length > 0) this.#parts.push(Buffer.from(bytes)); // a copy: the part it is cut from is of the socket
  }

  #complete(entries: unknown[]): void {
    const bytes = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#size = 0;
    try {
      entries.push(JSON.parse(UTF8.decode(bytes)));
    } catch {
      this.#break('is no JSON'); // the parser's words would repeat it
    }
  }

  #break(problem: string): void {
    this.#problem ??= problem;
    this.#parts = [];
  }
}

const NO_LIST = 'is neither a list nor {"array": [...]}';
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT, COMMA, QUOTE, BACKSLASH] = [0x5b, 0x5d, 0x7b, 0x7d, 0x2c, 0x22, 0x5c];
/** Far more than the key and blanks in front of a list. */
const MOST_HEAD = 200;
/** A product is some 450 bytes. */
const MOST_ENTRY = 1_048_576;
const UTF8 = new TextDecoder('utf-8', { fatal: true });
const isBlank = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
