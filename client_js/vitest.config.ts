import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/{unit,ui}/*.test.{ts,tsx}'],
    environment: 'node',
    pool: 'threads',
    isolate: false,
    testTimeout: 60_000,
  },
})
