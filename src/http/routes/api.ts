import { z } from 'zod';
import { describeApi } from '../openapi.ts';
import { route, type Route } from '../route.ts';
import { deadLetterRoutes } from './dead-letters.ts';
import { findRoute } from './find.ts';
import { itemRoutes } from './items.ts';
import { limitRoutes } from './limits.ts';
import { overviewRoute } from './overview.ts';
import { parkedRoutes } from './parked.ts';
import { replayRoutes } from './replays.ts';
import { sagaRoutes } from './sagas.ts';
import { syncRoutes } from './syncs.ts';
import { userRoutes, type ApiDeps } from './users.ts';

/** The API, in the order of its description. Another part of it is a file beside this one and a line here. */
export function apiRoutes(deps: ApiDeps): Route[] {
  const routes = [overviewRoute(deps), ...userRoutes(deps), ...itemRoutes(deps), ...sagaRoutes(deps), ...parkedRoutes(deps), ...deadLetterRoutes(deps), ...replayRoutes(deps), ...syncRoutes(deps), ...limitRoutes(deps), findRoute(deps)];
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
