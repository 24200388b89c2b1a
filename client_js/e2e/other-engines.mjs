// node e2e/other-engines.mjs firefox|webkit: faults, a reload in the middle, the file chosen again, and the same bytes.
import assert from 'node:assert/strict'
import { Firefox, WebKit } from './engines.mjs'
import { Files, MIB } from './files.mjs'
import { Line } from './lines.mjs'
import { OnwardServer, until } from './server.mjs'

const ROW = "document.querySelector('onward-upload')?.shadowRoot?.querySelector('li.row')"
const BAR = `${ROW}?.querySelector('[role=progressbar]')?.getAttribute('aria-valuenow')`

const ENGINES = { firefox: Firefox, webkit: WebKit }
const wanted = process.argv[2]
const files = new Files()
const [server, browser] = await Promise.all([OnwardServer.start('--demo'), ENGINES[wanted].start()])

const line = await Line.to(server.port)
line.rate = 1.5 * MIB

const state = () => browser.evaluate(`${ROW}?.dataset.state ?? ''`)
const setFaults = async (faults) =>
  (await fetch(`${server.url}/ui/faults`, { method: 'PUT', body: JSON.stringify(faults) })).json()

try {
  const file = files.random('engine.bin', 24 * MIB)
  await browser.open(`${line.url}/ui/`)
  await until('the page is there', () => browser.evaluate("!!document.querySelector('onward-upload')?.shadowRoot"))
  await setFaults({ fail: 0.15, drop: 0.15, delay_ms: 50 })
  await browser.pick(file.path)
  await until('half is stored', async () => Number(await browser.evaluate(BAR)) >= 50)
  await browser.reload()
  await until('the file is asked for', async () => (await state()) === 'needs-file')
  const kept = await browser.evaluate(BAR)
  await browser.pick(file.path)
  await until('it is done', async () => {
    const now = await state()
    assert.notEqual(now, 'failed', await browser.evaluate(`${ROW}.innerText`))
    return now === 'done'
  })
  const trouble = await browser.evaluate(`${ROW}.querySelector('.trouble').textContent`)
  const { failed, dropped } = await setFaults({})
  const uploads = (await server.uploads()).map(({ name, state }) => ({ name, state }))
  assert.deepEqual(uploads, [{ name: 'engine.bin', state: 'done' }])
  const published = await server.published('engine.bin')
  assert.equal(published.onDisk, file.sha256)
  const figures = {
    kept: `${kept} %`,
    trouble,
    faults: `${failed} answered 503, ${dropped} cut`,
    sha256: 'equal',
  }
  console.log(JSON.stringify({ engine: `${wanted} ${browser.version}`, ok: true, ...figures }))
} catch (error) {
  const page = await browser.evaluate('document.body.innerText').catch(String)
  console.log(JSON.stringify({ engine: wanted, ok: false, error: error.stack, pages: [page], log: server.log }))
  process.exitCode = 1
} finally {
  await browser.close()
  await line.close()
  await server.remove()
  files.remove()
}
