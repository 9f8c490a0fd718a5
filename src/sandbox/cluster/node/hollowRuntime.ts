import type { Clock } from '../clock.js';
import { timestamp } from '../clock.js';
import type { Pod, PodStatus } from '../types.js';
import type { PodAddresses } from './addresses.js';
import { podStatus } from './podStatus.js';
import type { PodRuntime } from './runtime.js';

/** A pod that runs nothing and says that it is ready, after a delay. */
export class HollowRuntime implements PodRuntime {
  readonly podIP: string;
  private readonly startTime: string;
  private ready = false;
  private stopping = false;
  private cancel: () => void = () => undefined;

  constructor(
    pod: Pod,
    private readonly deps: {
      clock: Clock;
      addresses: PodAddresses;
      hostIP: string;
      readyDelayMs: (pod: Pod) => number | undefined;
    },
    private readonly onChange: () => void,
  ) {
    this.podIP = deps.addresses.allocate();
    this.startTime = timestamp(deps.clock.now());
    const delay = deps.readyDelayMs(pod);
    if (delay === 0) this.ready = true;
    else if (delay !== undefined) {
      this.cancel = deps.clock.after(delay, () => {
        this.ready = true;
        onChange();
      });
    }
  }

  begin(): void {
    this.onChange();
  }

  status(pod: Pod): PodStatus {
    const containers = pod.spec.containers.map(({ name, image }) => ({
      name,
      state: { running: { startedAt: this.startTime } },
      lastState: {},
      ready: this.ready,
      started: true,
      restartCount: 0,
      image,
      imageID: '',
    }));
    const { startTime, podIP, stopping } = this;
    return podStatus(pod, { containers, startTime, podIP, hostIP: this.deps.hostIP, stopping }, this.deps.clock);
  }

  ports(): undefined {
    return undefined;
  }

  configChanged(): void {
    // Nothing reads it.
  }

  logs(): string[] {
    return [];
  }

  /** No status in between: the deletionTimestamp already keeps traffic away, and thousands of pods write once less. */
  stop(): Promise<void> {
    this.stopping = true;
    this.cancel();
    this.deps.addresses.release(this.podIP);
    return Promise.resolve();
  }
}
