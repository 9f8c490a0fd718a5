import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/e2e/**/*.test.ts'],
    globalSetup: ['test/e2e/build.ts'],
    testTimeout: 300_000,
    hookTimeout: 1_800_000,
    // Each file has a control plane of its own, and mostly waits.
    maxWorkers: 2,
  },
});
