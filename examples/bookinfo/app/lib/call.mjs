import { Agent, request } from 'node:http';
import { settings } from './settings.mjs';

const TIMEOUT_MS = 3000;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/** Headers that a service hands on, so that traces join up and routes that match on a user hold for the whole chain. */
const FORWARDED = ['x-request-id', 'traceparent', 'tracestate', 'baggage', 'end-user', 'cookie', 'user-agent'];

const forwarded = (incoming) =>
  Object.fromEntries(Object.entries(incoming.headers).filter(([name]) => FORWARDED.includes(name) || name.startsWith('x-b3-')));

const once = (host, path, headers) =>
  new Promise((resolve, reject) => {
    const url = new URL(path, settings.meshUrl);
    const call = request(url, { agent, headers: { ...headers, host }, timeout: TIMEOUT_MS }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (part) => (body += part));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode !== 200) return reject(new Error(`${host} answered ${response.statusCode}`));
        try {
          resolve(JSON.parse(body));
        } catch {
          reject(new Error(`${host} answered something that is not JSON`));
        }
      });
    });
    call.on('timeout', () => call.destroy(new Error(`${host} did not answer within ${TIMEOUT_MS} ms`)));
    call.on('error', (error) => reject(Object.assign(error, { stale: call.reusedSocket && error.code === 'ECONNRESET' })));
    call.end();
  });

/** GETs JSON of another service through the mesh, on behalf of `incoming`. A connection that had died meanwhile is replaced. */
export const call = async (host, path, incoming) => {
  const headers = forwarded(incoming);
  try {
    return await once(host, path, headers);
  } catch (error) {
    if (error.stale) return once(host, path, headers);
    throw error;
  }
};
