import { defineConfig } from 'vitest/config';

/** Every scenario of examples/bookinfo, played on the sandbox's own parts: half a minute each, most of it waiting for steps. */
export default defineConfig({
  test: { include: ['test/scenarios/**/*.test.ts'], testTimeout: 300_000, hookTimeout: 120_000, maxWorkers: 2 },
});
