import { request } from 'node:http';
import { connect } from 'node:net';
import type { Clock } from '../clock.js';
import type { Container, Probe } from '../types.js';

/** Asks a program once. Resolves to whether it passed; never rejects. */
export interface Prober {
  http(target: { port: number; path: string; headers: Record<string, string> }, timeoutMs: number): Promise<boolean>;
  tcp(port: number, timeoutMs: number): Promise<boolean>;
}

/** Probes of 127.0.0.1, as the kubelet does them: 200 to 399 passes, a connection per probe. */
export const localProber: Prober = {
  http({ port, path, headers }, timeoutMs) {
    return new Promise((resolve) => {
      const options = {
        host: '127.0.0.1',
        port,
        path,
        headers: { 'user-agent': 'kube-probe/sandbox', ...headers },
        agent: false,
      };
      const probe = request({ ...options, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
        response.resume();
        const status = response.statusCode ?? 0;
        resolve(status >= 200 && status < 400);
      });
      probe.on('error', () => resolve(false));
      probe.end();
    });
  },
  tcp(port, timeoutMs) {
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port });
      const finish = (passed: boolean) => {
        socket.destroy();
        resolve(passed);
      };
      socket.setTimeout(timeoutMs, () => finish(false));
      socket.once('connect', () => finish(true));
      socket.once('error', () => finish(false));
    });
  },
};

/** A port's number or name, as the local port that the program really listens on. */
function localPort(port: number | string, container: Container, ports: Map<number, number>): number | undefined {
  const number =
    typeof port === 'number' ? port : (container.ports?.find(({ name }) => name === port)?.containerPort ?? Number(port));
  return ports.get(number);
}

export function checkOf(probe: Probe, container: Container, ports: Map<number, number>, prober: Prober): () => Promise<boolean> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  const port = localPort(probe.httpGet?.port ?? probe.tcpSocket?.port ?? 0, container, ports);
  // Neither kind: exec and grpc probes have nothing here to run against, so they pass.
  if (!probe.httpGet && !probe.tcpSocket) return () => Promise.resolve(true);
  if (port === undefined) return () => Promise.resolve(false);
  if (!probe.httpGet) return () => prober.tcp(port, timeoutMs);
  const { path = '/', httpHeaders = [] } = probe.httpGet;
  const headers = Object.fromEntries(httpHeaders.map(({ name, value }) => [name, value]));
  return () => prober.http({ port, path: path.startsWith('/') ? path : `/${path}`, headers }, timeoutMs);
}

/** A program needs a moment to listen: the first probe this much later, in ms, saves a whole period. */
const FIRST_PROBE_MS = 200;

/**
 * Probes over and over; `onVerdict` hears true after `successThreshold` passes and false after `failureThreshold` failures
 * in a row, each time that it is so. Returns what stops it.
 */
export function runProbe(
  probe: Probe,
  check: () => Promise<boolean>,
  clock: Clock,
  onVerdict: (passed: boolean) => void,
): () => void {
  const { failureThreshold = 3, successThreshold = 1, periodSeconds = 10, initialDelaySeconds = 0 } = probe;
  let stopped = false;
  let cancel: () => void = () => undefined;
  let last: boolean | undefined;
  let inRow = 0;

  const once = async (): Promise<void> => {
    const started = clock.now();
    const passed = await check();
    if (stopped) return;
    inRow = passed === last ? inRow + 1 : 1;
    last = passed;
    cancel = clock.after(Math.max(0, started + periodSeconds * 1000 - clock.now()), () => void once());
    if (inRow >= (passed ? successThreshold : failureThreshold)) onVerdict(passed);
  };

  cancel = clock.after(Math.max(FIRST_PROBE_MS, initialDelaySeconds * 1000), () => void once());
  return () => {
    stopped = true;
    cancel();
  };
}
