import { defineConfig } from 'vitest/config'

/** Against a real `onward serve`, which the tests start themselves. `ONWARD` names another command. */
export default defineConfig({
  test: { include: ['test/server/*.test.ts'], environment: 'node', testTimeout: 30_000, hookTimeout: 60_000 },
})
