import http from 'node:http';
import { answerApi, type ApiAnswer, type ApiContext } from './api.js';
import { QUERY_PAGE } from './page.js';

const MAX_FORM_BYTES = 10 * 1024 * 1024;

/** The HTTP server in front of the API; the caller makes it listen. */
export function createApiServer(context: ApiContext): http.Server {
  return http.createServer((request, response) => {
    respond(context, request, response).catch((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      if (!response.headersSent)
        sendJson(response, { status: 500, body: { status: 'error', errorType: 'internal', error: message } });
    });
  });
}

async function respond(context: ApiContext, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  if (url.pathname === '/-/healthy') return sendText(response, 'Prometheus Server is Healthy.\n');
  if (url.pathname === '/-/ready') return sendText(response, 'Prometheus Server is Ready.\n');
  if (url.pathname === '/' || url.pathname === '/query' || url.pathname === '/graph')
    return sendText(response, QUERY_PAGE, 'text/html');
  const path = /^\/api\/v1\/(.+?)\/?$/.exec(url.pathname)?.[1];
  if (path !== undefined && (request.method === 'GET' || request.method === 'POST')) {
    const params = url.searchParams;
    if (request.method === 'POST')
      for (const [name, value] of new URLSearchParams(await readForm(request))) params.append(name, value);
    const answer = answerApi(context, path, params);
    if (answer !== undefined) return sendJson(response, answer);
  }
  response.statusCode = 404;
  sendText(response, '404 page not found\n');
}

async function readForm(request: http.IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_FORM_BYTES) throw new Error(`the form is larger than ${MAX_FORM_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function sendText(response: http.ServerResponse, text: string, type = 'text/plain'): void {
  response.setHeader('content-type', `${type}; charset=utf-8`);
  response.end(text);
}

function sendJson(response: http.ServerResponse, answer: ApiAnswer): void {
  response.statusCode = answer.status;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(answer.body));
}
