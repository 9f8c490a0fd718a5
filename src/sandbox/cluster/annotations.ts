/**
 * On every pod that runs as local processes: JSON from declared containerPort to the address that really answers,
 * e.g. `{"9080":"127.0.0.1:21234"}`. The data plane dials this, because a pod's IP is fictitious.
 */
export const PORTS_ANNOTATION = 'sandbox.sluice.dev/ports';
