# Compiled JavaScript does not depend on the platform, so the compiler may run on another base than the result.
FROM node:26-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:26-alpine AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force

FROM node:26-alpine
# ssh refuses to run for a user that /etc/passwd does not know.
RUN apk add --no-cache git openssh-client-default kustomize gnupg \
  && addgroup -g 65532 sluice \
  && adduser -D -H -h /tmp -G sluice -u 65532 sluice \
  && rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn-* /usr/local/bin/yarn /usr/local/bin/yarnpkg
# Young garbage takes up to three times the semi-space, in MiB.
ENV NODE_ENV=production HOME=/tmp NODE_OPTIONS=--max-semi-space-size=8
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
COPY crds ./crds
COPY examples/bookinfo ./examples/bookinfo
# Nothing below / is written but /tmp: the root file system may be read-only.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["controller"]
