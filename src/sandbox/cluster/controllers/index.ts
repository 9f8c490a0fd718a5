import type { KubeClient } from '../../../kube/types.js';
import type { Clock } from '../clock.js';
import { systemClock } from '../clock.js';
import type { EventSink } from '../events.js';
import { noEvents } from '../events.js';
import type { ControllerInformers } from '../informers.js';
import type { ControllerContext } from './context.js';
import { DaemonSetController } from './daemonset.js';
import { DeploymentController } from './deployment.js';
import { EndpointSliceController } from './endpointslice.js';
import { ReplicaSetController } from './replicaset.js';

export interface ControllersOptions {
  client: KubeClient;
  informers: ControllerInformers;
  clock?: Clock;
  /** Where events such as `ScalingReplicaSet` go; nowhere by default. */
  events?: EventSink;
  /** A reconciliation that failed and will be tried again; conflicts are everyday. */
  onError?: (controller: string, key: string, error: unknown) => void;
}

export interface RunningControllers {
  stop(): void;
}

/**
 * Starts the built-in controllers that kube-controller-manager runs in a real cluster: Deployments, ReplicaSets, DaemonSets and
 * EndpointSlices. Resolves once the informers, which the caller starts, are in sync.
 */
export async function startControllers(options: ControllersOptions): Promise<RunningControllers> {
  const { client, informers, clock = systemClock, events = noEvents, onError = () => undefined } = options;
  await Promise.all(Object.values(informers).map((informer) => informer.whenSynced()));
  const context: ControllerContext = { client, informers, clock, events, onError };
  const controllers = [
    new DeploymentController(context),
    new ReplicaSetController(context),
    new DaemonSetController(context),
    new EndpointSliceController(context),
  ];
  for (const controller of controllers) controller.start();
  return {
    stop: () => {
      for (const controller of controllers) controller.stop();
    },
  };
}
