export { createHttpServer, type HttpServer, type HttpServerParts } from './server.ts';
export { MAX_WEBHOOK_BYTES, type WebhookHandler, type WebhookRequest } from './webhooks.ts';
export { report, type HealthCheck, type HealthReport, type HealthSource } from './health.ts';
export { apiRoutes } from './routes/api.ts';
export { consoleRoutes } from './routes/console.ts';
export type { LimitDeps } from './routes/limits.ts';
export type { SelfDeps } from './routes/overview.ts';
export type { ApiDeps } from './routes/users.ts';
export type { Route } from './route.ts';
