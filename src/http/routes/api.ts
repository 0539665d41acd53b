import { z } from 'zod';
import { describeApi } from '../openapi.ts';
import { route, type Route } from '../route.ts';
import { findRoute } from './find.ts';
import { itemRoutes } from './items.ts';
import { overviewRoute } from './overview.ts';
import { sagaRoutes } from './sagas.ts';
import { syncRoutes } from './syncs.ts';
import { waitingRoutes } from './waiting.ts';
import { userRoutes, type ApiDeps } from './users.ts';

/** The API, in the order of its description. Another part of it is a file beside this one and a line here. */
export function apiRoutes(deps: ApiDeps): Route[] {
  const routes = [overviewRoute(deps), ...userRoutes(deps), ...itemRoutes(deps), ...sagaRoutes(deps), ...waitingRoutes(deps), ...syncRoutes(deps), findRoute(deps)];
  const description = route({
    method: 'GET',
    path: '/openapi.json',
    access: 'open',
    isLimited: true,
    summary: 'This description',
    query: z.object({}),
    problems: [],
    handle: () => ({ body: document }),
  });
  const all = [...routes, description];
  const document = describeApi(all);
  return all;
}
