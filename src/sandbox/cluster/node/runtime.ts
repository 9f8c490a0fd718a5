import type { Pod, PodStatus } from '../types.js';

/** One pod on the node. */
export interface PodRuntime {
  readonly podIP: string;
  begin(): void;
  /** The status to write; `pod` is the latest copy, whose conditions keep their times. */
  status(pod: Pod): PodStatus;
  /** The ports annotation's value, undefined when the pod has none. */
  ports(): string | undefined;
  /** A ConfigMap or Secret of the pod's namespace has changed. */
  configChanged(): void;
  /** Marks the pod unready at once; resolves when nothing of it runs any more. */
  stop(graceSeconds: number): Promise<void>;
  /** The last lines of one container, or of the only one. */
  logs(container?: string): string[];
}

/** Makes the runtime of a pod; `onChange` asks for its status to be written. */
export type RuntimeFactory = (pod: Pod, onChange: () => void) => PodRuntime;
