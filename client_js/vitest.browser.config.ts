import { playwright } from '@vitest/browser-playwright'
import { defineConfig } from 'vitest/config'

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']

/** In a real Chromium: `CHROMIUM` names another one than Debian's. */
export default defineConfig({
  optimizeDeps: {
    include: ['hash-wasm', 'react', 'react-dom', 'react-dom/client', 'react/jsx-dev-runtime', 'axe-core'],
  },
  test: {
    include: ['test/{browser,ui/browser}/*.test.{ts,tsx}'],
    testTimeout: 20_000,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions: { executablePath, args } }),
      instances: [{ browser: 'chromium' }],
    },
  },
})
