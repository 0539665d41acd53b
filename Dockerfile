# syntax=docker/dockerfile:1
# docker buildx build --build-arg REVISION=$(git rev-parse HEAD) --sbom=true --provenance=mode=max --tag brx-sync:0.1.0 .

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json prisma.config.ts ./
COPY scripts scripts
COPY console console
COPY mysql mysql
COPY prisma prisma
COPY schemas schemas
COPY stack stack
COPY demo demo
COPY bench bench
COPY src src
RUN npm run build && npm prune --omit=dev

FROM node:24-bookworm-slim
ARG REVISION=unknown
LABEL org.opencontainers.image.title="BRX Sync" \
      org.opencontainers.image.description="Keeps card sellers' stock in step between their own marketplace and CardTrader" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION"
ENV NODE_ENV=production BRX_ENV_FILE=none
WORKDIR /app
# The lock file is not needed to run: it tells scanners exactly what is in node_modules.
COPY --from=build /app/package.json /app/package-lock.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/console console
COPY --from=build /app/mysql mysql
COPY --from=build /app/prisma prisma
COPY --from=build /app/schemas schemas
COPY --from=build /app/dist/src dist/src
# The image's user node, as a number: orchestrators refuse a name when they must prove that it is not root. It owns no file here, and none is written.
USER 1000:1000
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.BRX_HTTP_PORT || 8080}/health/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Exec form: node is process 1 and gets SIGTERM itself (it stops in order, see src/main.ts). A shell or npm would swallow it.
CMD ["node", "dist/src/cli/main.js", "start"]
