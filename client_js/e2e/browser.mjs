// Chromium as people have it, with an eye on everything that a page must not do.
import { chromium } from 'playwright'

const PATH = process.env.ONWARD_E2E_CHROMIUM ?? '/usr/bin/chromium'
const FLAGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const LONG = 200
const PATIENCE = 45_000

export function launch() {
  return chromium.launch({ executablePath: PATH, chromiumSandbox: false, args: FLAGS })
}

/** Notes what happens inside of a page: long tasks, and what its policy had to forbid. */
function watch() {
  const seen = { longTasks: [], violations: [] }
  window.__seen = seen
  document.addEventListener('securitypolicyviolation', (event) => {
    seen.violations.push(`${event.violatedDirective} ${event.blockedURI}`)
  })
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) seen.longTasks.push(Math.round(duration))
  }).observe({ type: 'longtask', buffered: true })
}

/** One visit: a browser context of its own, so that nothing is left of an earlier one. */
export class Visit {
  constructor(context, origins) {
    this.context = context
    this.origins = origins
    this.strangers = []
    this.errors = []
    this.requests = 0
    context.on('request', (request) => {
      this.requests += 1
      const { protocol, origin } = new URL(request.url())
      if (protocol.startsWith('http') && !this.origins.includes(origin)) this.strangers.push(request.url())
    })
    context.on('weberror', (error) => this.errors.push(String(error.error())))
  }

  static async begin(browser, ...origins) {
    const context = await browser.newContext({ locale: 'en-GB' })
    await context.addInitScript(watch)
    context.setDefaultTimeout(PATIENCE)
    return new Visit(context, origins)
  }

  async open(url) {
    const page = await this.context.newPage()
    await page.goto(url)
    return page
  }

  /** What all pages of this visit have seen. */
  async seen() {
    const all = { longTasks: [], violations: [] }
    for (const page of this.context.pages()) {
      const seen = await page.evaluate(() => window.__seen)
      all.longTasks.push(...seen.longTasks.filter((ms) => ms > LONG))
      all.violations.push(...seen.violations)
    }
    return all
  }

  close() {
    return this.context.close()
  }
}

/** The line of this page from now on: bytes per second up, milliseconds of latency. */
export async function throttle(page, { up = -1, latency = 0, offline = false } = {}) {
  page.__cdp ??= await page.context().newCDPSession(page)
  await page.__cdp.send('Network.enable')
  await page.__cdp.send('Network.emulateNetworkConditions', {
    offline,
    latency,
    uploadThroughput: up,
    downloadThroughput: -1,
  })
}

/** Bytes of JavaScript's heap that are in use, after a collection. */
export async function heap(page) {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('HeapProfiler.collectGarbage')
  const { usedSize } = await cdp.send('Runtime.getHeapUsage')
  await cdp.detach()
  return usedSize
}
