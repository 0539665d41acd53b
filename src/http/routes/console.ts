import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { Problem } from '../problems.ts';
import { route, type Answer, type Route } from '../route.ts';

/** console/ beside package.json, from src/http/routes as from dist/src/http/routes. */
const FOLDER = fileURLToPath(new URL(import.meta.url.includes('/dist/src/') ? '../../../../console' : '../../../console', import.meta.url));
const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.svg': 'image/svg+xml' };
const PAGE = 'index.html';

/** What a page may do: run our scripts, ask this server. Whatever somebody smuggles into a name or a reason runs nothing and reaches nobody. */
const SECURITY = {
  'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const;

/** The console: files read once, at the start. They say nothing of what is here; what they show they ask the API, with the token of whoever looks. */
export function consoleRoutes(): Route[] {
  const files = new Map(readdirSync(FOLDER).filter((name) => extname(name) in TYPES).map((name) => [name, answerOf(name)]));
  const served = { method: 'GET', access: 'open', isLimited: false, problems: [] } as const;
  const serve = (name: string): Answer => {
    const file = files.get(name);
    if (file === undefined) throw new Problem('unknown_route', 'there is nothing at this path', { remedy: 'the console is at /console' });
    return file;
  };
  return [
    route({ ...served, path: '/console', summary: 'The console', handle: () => serve(PAGE) }),
    route({ ...served, path: '/console/{file}', summary: 'A file of the console', params: z.object({ file: z.string() }), handle: ({ params: { file } }) => serve(file === '' ? PAGE : file) }),
  ];
}

function answerOf(name: string): Answer {
  const body = readFileSync(join(FOLDER, name));
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  // Asked for each time, answered with 304: what is shown is never older than the server.
  return { body, type: TYPES[extname(name)] ?? '', headers: { ...SECURITY, etag, 'cache-control': 'no-cache' } };
}
