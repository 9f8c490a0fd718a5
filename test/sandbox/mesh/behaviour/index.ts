import { describe } from 'vitest';
import { useHarness, type StartMesh } from './harness.js';
import { resilienceTests } from './resilience.js';
import { routingTests } from './routing.js';

/** What any data plane of the sandbox must do, whichever it is. */
export const describeMesh = (name: string, start: StartMesh, enabled = true): void => {
  describe.skipIf(!enabled)(name, () => {
    const harness = useHarness(start);
    routingTests(harness);
    resilienceTests(harness);
  });
};
