import { BrxError } from '../errors.ts';

/**
 * What nobody outside CardTrader knows for certain. Everything documented is code; everything guessed is here, as a named switch
 * with its default, the other ways it could be, and where the question stands in the reference ("section n" is of cardtrader.md,
 * letters are its sources). A test runs each switch both ways, and the README's table is checked against this list.
 *
 * Defaults: the best evidence where there is some, else the way that is harder on a client.
 */
export const GUESSES = {
  rateWindow: choice('both', ['both', 'fixed', 'sliding', 'none'], 'section 2: unsure', 'which window judges a rate limit; `both` refuses what either would'),
  fixedWindowFrom: choice('epoch', ['epoch', 'first_request'], 'section 2: Rack::Attack would cut at multiples of the period', 'where fixed windows begin'),
  limitKey: choice('token', ['token', 'ip', 'both'], 'section 2: OLD says token, Y token or IP', 'whose requests are counted together'),
  refusedCounts: choice(false, [false, true], 'section 2: nobody says', 'does a request that got a 429 count towards the limit'),
  retryAfter: choice(false, [false, true], 'section 2: not documented, nobody saw it', 'does a 429 carry Retry-After (seconds)'),
  marketplacePerSecond: choice(10, [10, 1], 'section 2: D says both', 'searches a second'),
  mergeOnCreate: choice('price_description', ['price_description', 'price', 'properties', 'user_data', 'never'], 'section 5: the key is not defined [D]', 'what must be equal, beyond blueprint, properties and graded, for a create to add to a product: price and description; price; nothing more; price, description and `user_data_field`; `never` makes a new product each time'),
  mergedUserData: choice('keep', ['keep', 'replace'], 'section 5: "quantity is incremented" [D]', 'whose `user_data_field` a merged product carries: the old one or the one just sent'),
  mergeOnUpdate: choice(false, [false, true], 'section 5: unsure', 'does an update that makes two products equal (by the same key) merge them into the updated one'),
  quantityZero: choice('keep', ['keep', 'delete', 'refuse'], 'section 5: P sets 0, then deletes', 'a PUT of quantity 0 leaves the product at 0, deletes it, or is a 422'),
  soldOut: choice('vanish', ['vanish', 'keep'], 'section 8: P needs evidence of vanished products', 'a product sold to the last copy is gone, or stays at 0'),
  omittedOnUpdate: choice('keep', ['keep', 'default'], 'section 5: presumably stay', 'properties an update leaves out'),
  wrongValueOnUpdate: choice('default', ['default', 'keep'], 'section 5: D against the text of OLD’s warning', 'without strict, a wrong value on update becomes the default or changes nothing'),
  aliases: choice(true, [true, false], 'section 4: D and H samples', 'are `foil`, `language` and names of languages understood'),
  validationStatus: choice(422, [422, 400], 'section 5: not printed [D]', 'HTTP status of `validation_error`'),
  userDataMaxLength: amount(0, 100_000, 'section 12: unknown', 'longest `user_data_field`, 0 for no limit; longer is a 422'),
  resourceUserData: choice(false, [false, true], 'section 4: not in D’s sample', 'do answers to writes carry `user_data_field`'),
  getProduct: choice('missing', ['missing', 'resource', 'export'], 'section 3.2: not in D, later OLD calls it', '`GET /products/:id` is a 404, or answers in the shape of writes or of the export'),
  exportExpansion: choice(true, [true, false], 'section 4: W, E, N', 'do export rows carry `expansion{}`'),
  gamesShape: choice('wrapped', ['wrapped', 'bare'], 'section 3.1: D against V, N, E, Y', '`{"array":[...]}` or `[...]`'),
  infoUserId: choice(true, [true, false], 'section 1: D’s sample omits it', 'does `GET /info` carry `user_id`'),
  bulkMax: amount(450, 100_000, 'section 6: 100 to 1,000 in use, 450 since 2021 [G]', 'most items of a bulk call, 0 for no limit'),
  bulkTooLarge: choice('refuse', ['refuse', 'unprocessable'], 'section 6: unknown', 'more than that is a 422, or a job that ends `unprocessable`'),
  bulkStatus: choice(202, [202, 200], 'section 3.2: V, W accept both, OLD says 202', 'HTTP status of an accepted bulk call'),
  jobPendingMs: amount(200, 600_000, 'section 6: R waits up to 300 s', 'how long a job waits before it runs'),
  jobItemMs: amount(2, 60_000, 'section 6: unknown', 'how long each item takes'),
  jobOrder: choice('parallel', ['parallel', 'serial'], 'section 6: unsure', 'two jobs of one seller side by side, or one after the other'),
  jobKeptMs: amount(86_400_000, 2_592_000_000, 'section 6: unsure', 'how long a finished job can be asked for'),
  unknownJob: choice('unknown', ['unknown', 'not_found'], 'section 6: V', 'a job nobody knows is a 200 with state `unknown`, or a 404'),
  orderListSellerPrice: choice(true, [true, false], 'section 3.4: D against E', 'do lines in the list of orders carry `seller_price`'),
  orderLineProductId: choice('id', ['id', 'null'], 'section 4: V, E nullable', '`product_id` of order lines'),
  hubPendingOrderId: choice('set', ['set', 'null'], 'section 8: P sees null', '`hub_pending_order_id` of CT Zero lines'),
  orderDates: choice('creation', ['creation', 'change'], 'section 9: unsure', 'which date `from`, `to` and `sort=date` look at'),
  orderAsDefault: choice('all', ['all', 'seller'], 'section 8: buyer orders reach the same account', '`GET /orders` without `order_as`'),
  afterRefusedCancel: choice('before', ['before', 'paid'], 'section 8: unsure', 'the state after a refused cancellation: the one before the request, or `paid`'),
  relistedProduct: choice('new', ['new', 'same'], 'section 8: unsure', 'goods that come back when their product is gone get a new product id, or the old one'),
} as const;

type Definitions = typeof GUESSES;
export type GuessName = keyof Definitions;
/** Every switch with the value in force. */
export type Guesses = { readonly [Name in GuessName]: Definitions[Name] extends { choices: readonly (infer Choice)[] } ? Choice : number };

interface Choice<Value> {
  default: Value;
  choices: readonly Value[];
  source: string;
  meaning: string;
}
interface Amount {
  default: number;
  most: number;
  source: string;
  meaning: string;
}

function choice<const Value extends string | number | boolean>(byDefault: Value, choices: readonly Value[], source: string, meaning: string): Choice<Value> {
  return { default: byDefault, choices, source, meaning };
}

function amount(byDefault: number, most: number, source: string, meaning: string): Amount {
  return { default: byDefault, most, source, meaning };
}

/** The defaults with what was said instead, checked; texts are read too (`--guess bulkMax=100`). Throws BRX_USAGE. */
export function readGuesses(said: Readonly<Record<string, unknown>> = {}): Guesses {
  const names = Object.keys(GUESSES);
  const unknown = Object.keys(said).filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new BrxError('BRX_USAGE', `there is no guess ${unknown.join(', ')}`, { remedy: `guesses are ${names.join(', ')}` });
  return Object.fromEntries(Object.entries(GUESSES).map(([name, guess]) => [name, said[name] === undefined ? guess.default : readValue(name, guess, said[name])])) as unknown as Guesses;
}

function readValue(name: string, guess: Choice<unknown> | Amount, value: unknown): unknown {
  if ('choices' in guess) {
    const found = guess.choices.find((one) => one === value || String(one) === value);
    if (found === undefined) throw new BrxError('BRX_USAGE', `${name} cannot be ${String(value)}`, { remedy: `it is one of ${guess.choices.map(String).join(', ')}` });
    return found;
  }
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0 || number > guess.most) throw new BrxError('BRX_USAGE', `${name} cannot be ${String(value)}`, { remedy: `it is a whole number from 0 to ${guess.most}` });
  return number;
}

/** The table of the README: one row a guess. */
export function guessTable(): string {
  const rows = Object.entries(GUESSES).map(([name, guess]) => {
    const values = 'choices' in guess ? guess.choices.map((one) => (one === guess.default ? `**\`${String(one)}\`**` : `\`${String(one)}\``)).join(' ') : `**${guess.default}**, up to ${guess.most}`;
    return `| \`${name}\` | ${values} | ${guess.meaning} | ${guess.source} |`;
  });
  return ['| switch | values, **default** | what it decides | evidence |', '|---|---|---|---|', ...rows].join('\n');
}
