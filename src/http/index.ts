export { createHttpServer, type HttpServer, type HttpServerParts } from './server.ts';
export { report, type HealthCheck, type HealthReport, type HealthSource } from './health.ts';
