/** Settings of a Bookinfo program, all from its environment. A value that makes no sense ends the program with a message. */

const fail = (name, value, expected) => {
  console.error(`${name}=${JSON.stringify(value)}: expected ${expected}; correct it in the Deployment's env`);
  process.exit(1);
};

const number = (name, fallback, most, expected) => {
  const text = process.env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  return value >= 0 && value <= most ? value : fail(name, text, expected);
};

const milliseconds = (name, fallback) => number(name, fallback, 2 ** 31 - 1, 'milliseconds, a number of at least 0');

export const settings = {
  port: number('PORT', 9080, 65535, 'a port from 0 to 65535'),
  version: process.env.SERVICE_VERSION || 'v1',
  podName: process.env.POD_NAME || process.env.HOSTNAME || 'local',
  /** Share of requests answered 500, 0 to 1. */
  errorRate: number('ERROR_RATE', 0, 1, 'a share from 0 to 1'),
  /** Added to every answer, with a tenth of jitter. */
  latencyMs: milliseconds('LATENCY_MS', 0),
  /** Until the program says that it is ready. */
  startupMs: milliseconds('STARTUP_MS', 0),
  /** After which the program fails; 0 for never. */
  crashAfterMs: milliseconds('CRASH_AFTER_MS', 0),
  /** How long it goes on answering after SIGTERM, while callers learn that it leaves. */
  preStopMs: milliseconds('PRE_STOP_MS', 1000),
  /** Shown in the answers: where a ConfigMap's value arrives. */
  config: process.env.CONFIG,
  /** Where the pod stands in a release, told by whoever runs it; shown in the answers' headers. */
  slot: process.env.SLUICE_SLOT,
  revision: process.env.SLUICE_REVISION,
  /** The proxy through which other services are called; without it, programs answer from what they know. */
  meshUrl: process.env.MESH_URL,
};
