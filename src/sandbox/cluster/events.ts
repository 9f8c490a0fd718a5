import type { KubeObject } from '../../kube/types.js';

/** Records what happened to an object, for `kubectl describe`; `createEventRecorder` of src/kube gives one. */
export interface EventSink {
  event(object: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

export const noEvents: EventSink = { event: () => undefined };
