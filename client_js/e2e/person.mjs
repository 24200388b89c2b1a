// Somebody at the page: picks files, presses buttons by their names, reads what the rows say.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { until } from './server.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export class Person {
  constructor(page) {
    this.page = page
  }

  async pick(...files) {
    const input = this.page.locator('onward-upload input[type=file]').first()
    await input.setInputFiles(files.map((file) => file.path))
  }

  /** Drops files somewhere on the page, as from a window of the system beside it. */
  async drop(file, at = { x: 300, y: 300 }) {
    await this.page.locator('onward-upload input[type=file]').first().waitFor({ state: 'attached' })
    await this.page.evaluate(() =>
      addEventListener('drop', () => (window.wasDropped = true), { capture: true, once: true }),
    )
    const cdp = await this.page.context().newCDPSession(this.page)
    const data = { items: [], files: [file.path], dragOperationsMask: 1 }
    // A page that was shown a moment ago may not get it yet; whoever sees nothing happen drops again.
    await until('the page is told of the drop', async () => {
      for (const type of ['dragEnter', 'dragOver', 'drop']) {
        await cdp.send('Input.dispatchDragEvent', { type, ...at, data })
      }
      return this.page.evaluate(() => window.wasDropped)
    })
    await this.page.evaluate(() => delete window.wasDropped)
    await cdp.detach()
  }

  row(file) {
    return this.page.locator(`onward-upload li.row:has(.file[title="${file.name}"])`)
  }

  /** Presses a button of a row: `Pause`, `Cancel`, … */
  press(action, file) {
    return this.page.getByRole('button', { name: `${action}: ${file.name}`, exact: true }).click()
  }

  async state(file) {
    return this.row(file).first().getAttribute('data-state')
  }

  sentence(file) {
    return this.row(file).first().locator('.sentence').innerText()
  }

  /** Waits for words anywhere on the page. */
  reads(words) {
    return this.page.getByText(words).first().waitFor()
  }

  /** What had to be done again, in the row's words. */
  trouble(file) {
    return this.row(file).first().locator('.trouble').innerText()
  }

  async percent(file) {
    return Number(await this.row(file).first().getByRole('progressbar').getAttribute('aria-valuenow'))
  }

  /** Waits for a state; a failure that was not waited for is thrown with its sentence. */
  reaches(file, ...states) {
    return until(`${file.name} is ${states.join(' or ')}`, async () => {
      const state = await this.state(file)
      if (state === 'failed' && !states.includes('failed')) {
        throw new Error(`${file.name} failed: ${await this.sentence(file)}`)
      }
      return states.includes(state) && state
    })
  }

  /** Waits until so much is stored, and no more than that is left to chance. */
  reachesPercent(file, least) {
    return until(`${file.name} is at ${least} %`, async () => {
      const state = await this.state(file)
      assert.ok(!['failed', 'cancelled', 'done'].includes(state), `${state} before ${least} %`)
      return (await this.percent(file)) >= least
    })
  }

  /** Done on the page means done on the server, with the same bytes. */
  async isDone(file, server) {
    await this.reaches(file, 'done')
    const known = (await server.uploads()).find((upload) => upload.name === file.name)
    assert.equal(known?.state, 'done', 'the page says done before the server does')
    const published = await server.published(file.name)
    assert.equal(published.onDisk, file.sha256, 'the bytes on the disk are those of the file')
    assert.equal(published.result.sha256, file.sha256, 'the SHA-256 that the server tells is that of the file')
    return { resent: (await this.trouble(file)) || 'nothing' }
  }

  /** Fails on anything that keeps people with assistive technology away. */
  async isAccessible(when) {
    await this.page.evaluate(AXE)
    const { violations } = await this.page.evaluate(() =>
      globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
    )
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`)
    assert.deepEqual(found, [], `accessibility while ${when}`)
  }

  /** From now on, each 50 ms: how much is stored. The function that is returned ends it and fails on a fall. */
  async watchProgress(file) {
    const row = await this.row(file).first().elementHandle()
    await row.evaluate((element) => {
      window.__seen.percents = []
      const bar = element.querySelector('[role=progressbar]')
      window.__seen.timer = setInterval(() => window.__seen.percents.push(Number(bar.ariaValueNow)), 50)
    })
    return async () => {
      const percents = await this.page.evaluate(() => {
        clearInterval(window.__seen.timer)
        return window.__seen.percents
      })
      // After the last byte the bar shows how far the server is with its work, from 0 again.
      const sending = percents.slice(0, percents.indexOf(100) === -1 ? percents.length : percents.indexOf(100))
      const falls = sending.filter((percent, at) => at > 0 && percent < sending[at - 1])
      assert.deepEqual(falls, [], `progress fell: ${sending}`)
      return sending.length
    }
  }
}
