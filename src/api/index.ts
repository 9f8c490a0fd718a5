export * from './common.js';
export * from './canary-spec.js';
export * from './canary-status.js';
export * from './strategy.js';
export * from './others.js';
export * from './resources.js';
export * from './reasons.js';
