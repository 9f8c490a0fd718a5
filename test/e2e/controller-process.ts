import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ControllerNeeds, RunningController } from '../../src/sandbox/sandbox.js';
import { PROGRAM } from './build.js';

/** Without a namespace it looks after all of them. */
type Needs = Omit<ControllerNeeds, 'namespace'> & Partial<Pick<ControllerNeeds, 'namespace'>>;
const START_MS = 60_000;

/** `sluice controller` in a process of its own, as it runs in production, which can die and come back. */
export class ControllerProcess implements RunningController {
  /** Of the life that runs now. */
  url = '';
  /** Lives so far. */
  lives = 0;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  private constructor(
    private readonly needs: Needs,
    private readonly flags: string[],
  ) {}

  static async start(needs: Needs, flags: string[] = ['--no-leader-elect']): Promise<ControllerProcess> {
    const controller = new ControllerProcess(needs, flags);
    await controller.start();
    return controller;
  }

  /** Resolves when it serves /healthz. */
  async start(): Promise<void> {
    const { kubeconfig, metricsServer, metricsGridMs, namespace, dir } = this.needs;
    const settings = {
      kubeconfig,
      'metrics-server': metricsServer,
      'metrics-grid': `${metricsGridMs}ms`,
      namespace,
      listen: '127.0.0.1:0',
      'log-level': 'debug',
      'data-dir': join(dir, 'controller'),
      cluster: 'e2e',
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
    const child = spawn(process.execPath, [PROGRAM, 'controller', ...flags, ...this.flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.lives += 1;
    const log = createWriteStream(join(dir, 'controller.log'), { flags: 'a' });
    child.stderr.pipe(log, { end: false });
    const dieWithUs = (): boolean => child.kill('SIGKILL');
    process.once('exit', dieWithUs);
    this.#ended = new Promise((resolve) =>
      child.once('close', () => {
        process.removeListener('exit', dieWithUs);
        log.end(resolve);
      }),
    );
    this.url = await new Promise<string>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`the controller did not serve within ${START_MS / 1000} s; see ${dir}/controller.log`)),
        START_MS,
      );
      child.once('close', (code, signal) =>
        reject(new Error(`the controller ended with ${signal ?? code} before it served; see ${dir}/controller.log`)),
      );
      createInterface({ input: child.stdout }).on('line', (line) => {
        log.write(`${line}\n`);
        const url = listening(line);
        if (url === undefined) return;
        clearTimeout(timer);
        resolve(url);
      });
    });
  }

  /** SIGSTOP: it lives, and does nothing. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  /** SIGCONT: it goes on, as if no time had passed. */
  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** SIGKILL: no last words, no last write. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#ended;
  }

  async stop(): Promise<void> {
    this.#child?.kill('SIGTERM');
    const timer = setTimeout(() => this.#child?.kill('SIGKILL'), 10_000);
    await this.#ended;
    clearTimeout(timer);
  }
}

/** The address in the line by which the controller says that it serves. */
function listening(line: string): string | undefined {
  if (!line.includes('serving /healthz')) return undefined;
  const { url } = JSON.parse(line) as { url?: string };
  return url;
}
