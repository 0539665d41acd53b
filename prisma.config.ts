import { defineConfig } from 'prisma/config';

/** No datasource URL: the application hands Prisma its own pg.Pool, and migrations are applied by `brx-sync migrate`. */
export default defineConfig({ schema: 'prisma/schema.prisma', migrations: { path: 'prisma/migrations' } });
