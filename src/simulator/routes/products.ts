import { failure, json, missingParameter, notFound, type Answer } from '../answers.ts';
import { UNKNOWN_JOB, jobShape, type JobKind } from '../jobs.ts';
import type { Product } from '../model.ts';
import { createProduct, deleteProduct, incrementProduct, updateProduct, type Written } from '../products.ts';
import { isRecord } from '../properties.ts';
import { exportShape, resourceShape, type ShapeContext } from '../serialize.ts';
import { read, write, type Call, type Route } from './call.ts';

/** Own stock: the export, single writes, bulk writes and their jobs. */
export const PRODUCT_ROUTES: Readonly<Record<string, Route>> = {
  'GET products/export': { ...read(exported), exports: true },
  'GET products/:id': read(one),
  'POST products': write((call) => written(call, createProduct(call.world, call.writer, call.body))),
  'PUT products/:id': write((call) => written(call, updateProduct(call.world, call.writer, call.id, call.body))),
  'POST products/:id/increment': write((call) => written(call, incrementProduct(call.world, call.writer, call.id, call.body))),
  // The one answer whose empty warnings are a list.
  'DELETE products/:id': write((call) => written(call, deleteProduct(call.world, call.writer, call.id), [])),
  'POST products/bulk_create': write((call) => bulk(call, 'bulk_create')),
  'POST products/bulk_update': write((call) => bulk(call, 'bulk_update')),
  'POST products/bulk_destroy': write((call) => bulk(call, 'bulk_destroy')),
  'GET jobs/:uuid': read(job, 'jobs'),
};

/** What an export answers now, or what was true at `staleAt`. Also what `sale_after_read` picks from. */
export function exportedProducts({ world, seller, query, staleAt }: Call): Product[] {
  const blueprintId = numberOf(query, 'blueprint_id');
  const expansionId = numberOf(query, 'expansion_id');
  const products = staleAt === undefined ? world.store.productsOf(seller.id, blueprintId) : world.store.productsAt(seller.id, staleAt);
  return products.filter((product) => (blueprintId === undefined || product.blueprint.id === blueprintId) && (expansionId === undefined || product.blueprint.expansion_id === expansionId));
}

function exported(call: Call): Answer {
  return json(200, exportedProducts(call).map((product) => exportShape(product, context(call, product))));
}

function one(call: Call): Answer {
  const { world, seller, id, requestId } = call;
  const product = world.store.productOf(seller.id, id);
  if (world.guesses.getProduct === 'missing' || product === undefined) return notFound('Product', requestId);
  return json(200, (world.guesses.getProduct === 'resource' ? resourceShape : exportShape)(product, context(call, product)));
}

function written(call: Call, outcome: Written, noWarnings: object = {}): Answer {
  const { requestId, world } = call;
  if (outcome.ok) {
    const warned = Object.keys(outcome.warnings).length > 0;
    return json(200, { result: warned ? 'warning' : 'ok', warnings: warned ? { properties: outcome.warnings } : noWarnings, resource: resourceShape(outcome.product, context(call, outcome.product)) });
  }
  switch (outcome.code) {
    case 'not_found':
      return notFound('Product', requestId);
    case 'missing_parameter':
      return failure(422, outcome.code, outcome.message, requestId);
    case 'validation_error':
      return failure(world.guesses.validationStatus, outcome.code, outcome.message, requestId, outcome.errors);
  }
}

function bulk(call: Call, kind: JobKind): Answer {
  const { world, seller, body, requestId, writer } = call;
  const items = isRecord(body) ? body['products'] : undefined;
  if (!Array.isArray(items)) return missingParameter('products', requestId);
  const { bulkMax, bulkTooLarge, bulkStatus } = world.guesses;
  const fits = bulkMax === 0 || items.length <= bulkMax;
  if (!fits && bulkTooLarge === 'refuse') return failure(422, 'validation_error', `products is too long (maximum is ${bulkMax})`, requestId, { products: [`is too long (maximum is ${bulkMax})`] });
  const started = world.jobs.start(world, seller, { kind, items, operationId: writer.operationId, processable: fits });
  return json(bulkStatus, { job: started.uuid });
}

function job({ world, seller, uuid, requestId }: Call): Answer {
  const found = world.jobs.find(world, seller, uuid);
  if (found !== undefined) return json(200, jobShape(found));
  return world.guesses.unknownJob === 'unknown' ? json(200, UNKNOWN_JOB) : notFound('Job', requestId);
}

const numberOf = (query: URLSearchParams, name: string): number | undefined => (query.get(name) === null || query.get(name) === '' ? undefined : Number(query.get(name)));

function context({ world, seller }: Call, product: Product): ShapeContext {
  return { seller, guesses: world.guesses, expansion: world.store.expansions.get(product.blueprint.expansion_id ?? 0) };
}
