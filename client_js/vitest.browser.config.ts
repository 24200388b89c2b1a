import { playwright } from '@vitest/browser-playwright'
import { defineConfig } from 'vitest/config'

/** In a real Chromium, the system's unless `CHROMIUM` names another. */
export default defineConfig({
  test: {
    include: ['test/browser/*.test.{ts,tsx}', 'test/ui/browser/*.test.{ts,tsx}'],
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({
        launchOptions: {
          executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
          args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
        },
      }),
      instances: [{ browser: 'chromium' }],
    },
  },
})
