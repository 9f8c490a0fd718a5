import { createServer } from 'node:http';
import { delay, shouldFail } from './faults.mjs';
import { settings } from './settings.mjs';

/** Longer than any caller keeps an idle connection: the caller must be the one to close it, or requests get lost. */
const KEEP_ALIVE_MS = 120_000;

const startedAt = Date.now();
let stopping = false;

const isReady = () => !stopping && Date.now() - startedAt >= settings.startupMs;

const send = (response, status, type, body) => {
  // A caller that is told so leaves the connection by itself.
  if (stopping) response.setHeader('connection', 'close');
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
};

export const sendJson = (response, status, value) => send(response, status, 'application/json', JSON.stringify(value));
export const sendHtml = (response, status, html) => send(response, status, 'text/html; charset=utf-8', html);

const answer = async (routes, request, response) => {
  const url = new URL(request.url ?? '/', 'http://bookinfo');
  response.setHeader('x-bookinfo-version', settings.version);
  response.setHeader('x-pod-name', settings.podName);
  if (settings.slot) response.setHeader('x-sluice-slot', settings.slot);
  if (settings.revision) response.setHeader('x-sluice-revision', settings.revision);
  if (url.pathname === '/health') {
    const ready = isReady();
    return sendJson(response, ready ? 200 : 503, { status: ready ? 'healthy' : stopping ? 'stopping' : 'starting' });
  }
  const route = routes.find(({ path }) => path.test(url.pathname));
  if (!route) return sendJson(response, 404, { error: `no such page: ${url.pathname}` });
  await delay();
  if (shouldFail()) return sendJson(response, 500, { error: 'injected by ERROR_RATE' });
  return route.handle({ request, response, url, id: route.path.exec(url.pathname)?.[1] });
};

/** The sandbox holds the other end of standard input: when it closes, whoever started this program is gone. */
const watchLifeline = () => {
  if (process.env.SLUICE_LIFELINE !== 'stdin') return;
  for (const event of ['end', 'close', 'error']) process.stdin.on(event, () => process.exit(0));
  process.stdin.resume();
};

/** On SIGTERM: unready at once, answering for a while, then no new connections, then the end when the last answer is out. */
const stopOnSignal = (server) => {
  const stop = () => {
    if (stopping) return;
    stopping = true;
    console.log(`stopping: answering for ${settings.preStopMs} ms more`);
    setTimeout(() => {
      server.close(() => process.exit(0));
      server.closeIdleConnections();
    }, settings.preStopMs);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
};

/**
 * Serves `routes` ([{ path: RegExp, handle }]) and `/health` on 127.0.0.1, with the faults that the environment asks for.
 * The first group of `path` reaches `handle` as `id`.
 */
export const serve = (name, routes) => {
  const server = createServer((request, response) => {
    answer(routes, request, response).catch((error) => {
      console.error(error);
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { error: 'internal error' });
    });
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.headersTimeout = KEEP_ALIVE_MS + 1000;
  server.on('error', (error) => {
    console.error(`${name}: ${error.message}`);
    process.exit(1);
  });
  stopOnSignal(server);
  watchLifeline();
  server.listen(settings.port, '127.0.0.1', () => {
    console.log(`${name} ${settings.version} listens on port ${server.address().port}`);
  });
  if (settings.crashAfterMs > 0) {
    setTimeout(() => {
      console.error('injected by CRASH_AFTER_MS');
      process.exit(1);
    }, settings.crashAfterMs);
  }
};
