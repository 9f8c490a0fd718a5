export { PORTS_ANNOTATION } from './annotations.js';
export { clusterInformers, type ClusterInformers, type ControllerInformers, type NodeInformers } from './informers.js';
export type { EventSink } from './events.js';
export { startControllers, type ControllersOptions, type RunningControllers } from './controllers/index.js';
export { startNode, type NodeOptions, type RunningNode } from './node/index.js';
export { programs, type Program, type Programs } from './node/programs.js';
