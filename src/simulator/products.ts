import type { Guesses } from './guesses.ts';
import { markerOf, type Effect, type Source, type Verb } from './ledger.ts';
import type { Product, Seller } from './model.ts';
import { isRecord, readProperties, sameProperties, type Warnings } from './properties.ts';
import type { World } from './world.ts';

/**
 * The writes of a product, each at once: nothing else runs between its check and its effect. Single calls and the items of jobs
 * go through the same functions.
 */
export type Written = { readonly ok: true; readonly product: Product; readonly warnings: Warnings } | Refused;
export interface Refused {
  readonly ok: false;
  readonly code: 'missing_parameter' | 'validation_error' | 'not_found';
  readonly message: string;
  /** Field → messages. */
  readonly errors: Readonly<Record<string, readonly string[]>>;
}

/** Who writes: goes into the ledger. */
export interface Writer {
  readonly seller: Seller;
  readonly source: Source;
  readonly operationId: string | null;
  readonly jobId?: string | undefined;
  /** Every effect of this writer, so that the request can say whether it was answered. */
  readonly effects: Effect[];
}

const MAX_QUANTITY = 1_000_000;
const MAX_PRICE = 1_000_000;

/** `POST /products`. Not idempotent: where an equal product is found its quantity grows. */
export function createProduct(world: World, writer: Writer, input: unknown): Written {
  const given = isRecord(input) ? input : {};
  for (const name of ['blueprint_id', 'price', 'quantity']) if (given[name] === undefined || given[name] === null) return missing(name);
  const blueprint = world.store.blueprints.get(Number(given['blueprint_id']));
  if (blueprint === undefined) return invalid('blueprint', 'Blueprint cant be blank', 'Blueprint cant be blank');
  const fresh: Product = { id: 0, sellerId: writer.seller.id, blueprint, quantity: 0, priceCents: 0, description: null, properties: {}, graded: false, tag: null, userData: null };
  const read = readFields(world.guesses, fresh, given, undefined, 1);
  if (!read.ok) return read;
  const twin = findTwin(world, read.product);
  if (twin !== undefined) {
    const merged = { ...twin, quantity: twin.quantity + read.product.quantity, ...(world.guesses.mergedUserData === 'replace' && given['user_data_field'] !== undefined && { userData: read.product.userData }) };
    return save(world, writer, { verb: 'merge', before: twin.quantity, product: merged, sent: given, warnings: read.warnings });
  }
  return save(world, writer, { verb: 'create', before: null, product: { ...read.product, id: world.store.nextProductId() }, sent: given, warnings: read.warnings });
}

/** `PUT /products/:id`. The quantity is absolute; what is left out stays. */
export function updateProduct(world: World, writer: Writer, id: number, input: unknown): Written {
  const product = world.store.productOf(writer.seller.id, id);
  if (product === undefined) return unknownProduct();
  const given = isRecord(input) ? input : {};
  const { guesses, store } = world;
  const read = readFields(guesses, product, given, product, guesses.quantityZero === 'refuse' ? 1 : 0);
  if (!read.ok) return read;
  let updated = read.product;
  if (updated.quantity === 0 && given['quantity'] !== undefined && guesses.quantityZero === 'delete') {
    return drop(world, writer, { verb: 'update', before: product.quantity, product: updated, sent: given, warnings: read.warnings });
  }
  const twin = guesses.mergeOnUpdate ? findTwin(world, updated) : undefined;
  if (twin !== undefined) {
    updated = { ...updated, quantity: updated.quantity + twin.quantity };
    store.remove(twin.id, world.clock.now());
    // The same operation, which must count once: this half of it goes without its name.
    record(world, { ...writer, operationId: null }, { verb: 'merge', productId: twin.id, before: twin.quantity, after: null, sent: {} });
  }
  return save(world, writer, { verb: 'update', before: product.quantity, product: updated, sent: given, warnings: read.warnings });
}

/** `POST /products/:id/increment`. A result of 0 or less deletes the product; nothing else is touched. */
export function incrementProduct(world: World, writer: Writer, id: number, input: unknown): Written {
  const product = world.store.productOf(writer.seller.id, id);
  if (product === undefined) return unknownProduct();
  const given = isRecord(input) ? input : {};
  if (given['delta_quantity'] === undefined) return missing('delta_quantity');
  const delta = integer(given['delta_quantity']);
  if (delta === undefined) return invalid('delta_quantity', 'is not a number');
  const quantity = Math.max(0, product.quantity + delta);
  const write = { verb: 'increment', before: product.quantity, product: { ...product, quantity }, sent: given, warnings: {} } as const;
  return quantity === 0 ? drop(world, writer, write) : save(world, writer, write);
}

/** `DELETE /products/:id`, whatever the quantity. */
export function deleteProduct(world: World, writer: Writer, id: number): Written {
  const product = world.store.productOf(writer.seller.id, id);
  if (product === undefined) return unknownProduct();
  return drop(world, writer, { verb: 'delete', before: product.quantity, product, sent: {}, warnings: {} });
}

interface Write {
  readonly verb: Verb;
  readonly before: number | null;
  readonly product: Product;
  /** The body, for its marker. */
  readonly sent: Readonly<Record<string, unknown>>;
  readonly warnings: Warnings;
}

function save(world: World, writer: Writer, { verb, before, product, sent, warnings }: Write): Written {
  world.store.save(product, world.clock.now());
  record(world, writer, { verb, productId: product.id, before, after: product.quantity, sent });
  return { ok: true, product, warnings };
}

function drop(world: World, writer: Writer, { verb, before, product, sent, warnings }: Write): Written {
  world.store.remove(product.id, world.clock.now());
  record(world, writer, { verb, productId: product.id, before, after: null, sent });
  return { ok: true, product, warnings };
}

function record(world: World, writer: Writer, { verb, productId, before, after, sent }: { verb: Verb; productId: number; before: number | null; after: number | null; sent: Readonly<Record<string, unknown>> }): void {
  const { seller, source, operationId, jobId = null, effects } = writer;
  const answered = source === 'api' ? false : null;
  effects.push(world.ledger.add({ at: world.clock.now(), sellerId: seller.id, productId, verb, source, before, after, operationId, marker: markerOf(sent['user_data_field']), jobId, orderId: null, answered }));
}

/** The fields a create and an update have in common, over what is there. */
function readFields(guesses: Guesses, product: Product, given: Readonly<Record<string, unknown>>, previous: Product | undefined, least: number): Written {
  let { quantity, priceCents, description, userData, tag, graded } = product;
  if (given['quantity'] !== undefined) {
    const asked = integer(given['quantity']);
    if (asked === undefined) return invalid('quantity', 'is not a number');
    if (asked < least) return invalid('quantity', `must be greater than ${least === 0 ? 'or equal to 0' : '0'}`);
    if (asked > MAX_QUANTITY) return invalid('quantity', `must be less than or equal to ${MAX_QUANTITY}`);
    quantity = asked;
  }
  if (given['price'] !== undefined) {
    const asked = decimal(given['price']);
    if (asked === undefined) return invalid('price', 'is not a number');
    if (asked <= 0 || asked > MAX_PRICE) return invalid('price', `must be greater than 0 and at most ${MAX_PRICE}`);
    priceCents = Math.round(asked * 100);
  }
  if (given['description'] !== undefined) description = text(given['description']);
  if (given['tag'] !== undefined) tag = text(given['tag']);
  if (given['graded'] !== undefined) graded = given['graded'] === true || given['graded'] === 1 || given['graded'] === 'true';
  if (given['user_data_field'] !== undefined) userData = text(given['user_data_field']);
  if (guesses.userDataMaxLength > 0 && (userData?.length ?? 0) > guesses.userDataMaxLength) return invalid('user_data_field', `is too long (maximum is ${guesses.userDataMaxLength} characters)`);
  const read = readProperties(product.blueprint, given['properties'], { strict: given['error_mode'] === 'strict', previous: previous?.properties, guesses });
  if (!read.ok) return { ok: false, code: 'validation_error', message: read.errors.join('; '), errors: { properties: read.errors } };
  return { ok: true, product: { ...product, quantity, priceCents, description, userData, tag, graded, properties: read.properties }, warnings: read.warnings };
}

/** Another product of the seller that counts as the same one. */
function findTwin(world: World, product: Product): Product | undefined {
  const key = world.guesses.mergeOnCreate;
  if (key === 'never') return undefined;
  return world.store.productsOf(product.sellerId, product.blueprint.id).find(
    (other) =>
      other.id !== product.id &&
      (other.graded ?? false) === (product.graded ?? false) &&
      sameProperties(other.properties, product.properties) &&
      (key === 'properties' || other.priceCents === product.priceCents) &&
      (key === 'properties' || key === 'price' || other.description === product.description) &&
      (key !== 'user_data' || other.userData === product.userData),
  );
}

const missing = (name: string): Refused => ({ ok: false, code: 'missing_parameter', message: `Missing parameter: ${name}`, errors: {} });
const invalid = (field: string, message: string, whole = `${field} ${message}`): Refused => ({ ok: false, code: 'validation_error', message: whole, errors: { [field]: [message] } });
const unknownProduct = (): Refused => ({ ok: false, code: 'not_found', message: 'Product not found', errors: {} });

/** Numbers may come as text, as from a form. */
function decimal(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

function integer(value: unknown): number | undefined {
  const number = decimal(value);
  return number !== undefined && Number.isInteger(number) ? number : undefined;
}

const text = (value: unknown): string | null => (value === null || value === '' ? null : typeof value === 'string' ? value : JSON.stringify(value));

