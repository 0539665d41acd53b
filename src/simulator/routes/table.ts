import type { Route } from './call.ts';
import { ORDER_ROUTES } from './orders.ts';
import { PRODUCT_ROUTES } from './products.ts';
import { REFERENCE_ROUTES } from './reference.ts';

const ROUTES: ReadonlyMap<string, Route> = new Map(Object.entries({ ...REFERENCE_ROUTES, ...PRODUCT_ROUTES, ...ORDER_ROUTES }));
export const BASE_PATH = '/api/v2';

export interface Found {
  readonly route: Route;
  readonly id: number;
  readonly uuid: string;
}

/** The route of a method and a path below the base path; a number in the path is `:id`, what follows `jobs/` is `:uuid`. */
export function findRoute(method: string, path: string): Found | undefined {
  const [id = '', uuid = ''] = [/\/(\d+)(?:\/|$)/.exec(path)?.[1], /^\/jobs\/([^/]+)$/.exec(path)?.[1]];
  const pattern = uuid !== '' ? 'jobs/:uuid' : path.slice(1).replace(/\/\d+(?=\/|$)/, '/:id').replace(/\/$/, '');
  const route = ROUTES.get(`${method} ${pattern}`);
  return route === undefined ? undefined : { route, id: Number(id), uuid };
}
