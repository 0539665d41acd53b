import type { Clock } from './clock.ts';

export interface RotationOptions<Server> {
  readonly clock: Pick<Clock, 'monotonic'>;
  /** How long one rests that has failed so many times in a row, ms. */
  readonly restMs: (failures: number) => number;
  /** One that was in rotation failed. */
  readonly onOut: (server: Server, error: unknown, restMs: number) => void;
  /** One that rested answered again. */
  readonly onBack: (server: Server) => void;
}

interface Place<Server> {
  readonly server: Server;
  /** Monotonic; undefined while it is in rotation. */
  restsUntil: number | undefined;
  failures: number;
}

/** Servers that are asked in turn. One that failed is left alone for a while, then tried by one caller at a time, and is back once it answers. */
export class Rotation<Server> {
  readonly #places: readonly Place<Server>[];
  readonly #options: RotationOptions<Server>;
  #turn = 0;

  constructor(servers: readonly Server[], options: RotationOptions<Server>) {
    this.#places = servers.map((server) => ({ server, restsUntil: undefined, failures: 0 }));
    this.#options = options;
  }

  /** Each that may be asked, once, beginning with the one whose turn it is. */
  *turn(): Generator<Server> {
    const first = this.#turn;
    this.#turn += 1;
    for (let n = 0; n < this.#places.length; n += 1) {
      const place = this.#places[(first + n) % this.#places.length];
      if (place !== undefined && this.#claim(place)) yield place.server;
    }
  }

  /** Whether it is left alone at present. */
  rests(server: Server): boolean {
    return this.#placeOf(server)?.restsUntil !== undefined;
  }

  failed(server: Server, error: unknown): void {
    const place = this.#placeOf(server);
    if (place === undefined) return;
    const restMs = this.#options.restMs(place.failures);
    const wasIn = place.restsUntil === undefined;
    place.failures += 1;
    place.restsUntil = this.#options.clock.monotonic() + restMs;
    if (wasIn) this.#options.onOut(server, error, restMs);
  }

  answered(server: Server): void {
    const place = this.#placeOf(server);
    if (place?.restsUntil === undefined) return;
    place.restsUntil = undefined;
    place.failures = 0;
    this.#options.onBack(server);
  }

  /** Whether it is this caller's business to ask it: one that failed is tried by one at a time, and only after its rest. */
  #claim(place: Place<Server>): boolean {
    if (place.restsUntil === undefined) return true;
    const now = this.#options.clock.monotonic();
    if (now < place.restsUntil) return false;
    place.restsUntil = now + this.#options.restMs(place.failures);
    return true;
  }

  #placeOf(server: Server): Place<Server> | undefined {
    return this.#places.find((place) => place.server === server);
  }
}
