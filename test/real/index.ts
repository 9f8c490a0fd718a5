export { startControlPlane, type ControlPlane, type ControlPlaneOptions, type TestUser } from './control-plane.js';
export { startEnvoy, type EnvoyOptions, type EnvoyResource, type RealEnvoy } from './envoy.js';
export { ensureParts, type PartName } from './parts.js';
export { freePorts, type Daemon } from './process.js';
export { startRealPrometheus, type PrometheusOptions, type RealPrometheus, type ScrapeTargets } from './prometheus.js';
