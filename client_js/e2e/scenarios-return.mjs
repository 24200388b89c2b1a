// People who come back: after a reload, with the file still known, chosen again, or dropped again.
import assert from 'node:assert/strict'
import { throttle } from './browser.mjs'
import { MIB } from './files.mjs'
import { Meddler, through } from './lines.mjs'
import { Person } from './person.mjs'
import { sleep, until } from './server.mjs'

const SLOW = { up: 6 * MIB, latency: 20 }
const kib = (bytes) => `${Math.round(bytes / 1024)} KiB`

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0)

/** Half of `file` goes by `give`, then the page is loaded anew. No stored byte is sent again. */
async function halfway(stage, { name, give, act }) {
  const { server, files, visit } = stage
  const file = files.random(`${name}.bin`, 10 * MIB)
  return through(await Meddler.to(server.port), async (proxy) => {
    visit.origins.push(proxy.url)
    const stored = []
    const twice = []
    let sent = 0
    let away = false
    const runOf = (request) => {
      const start = Number(request.headers['upload-offset'])
      return [start, start + Number(request.headers['content-length'])]
    }
    proxy.rule = (request, size) => {
      if (away && request.method !== 'GET') return { status: 503 }
      if (request.method !== 'PUT') return null
      const [start, end] = runOf(request)
      sent += size
      if (stored.some(([from, to]) => start < to && from < end)) twice.push([start, end])
      return null
    }
    proxy.heard = (request, status) => {
      if (request.method === 'PUT' && status < 300) stored.push(runOf(request))
    }
    const person = new Person(await visit.open(`${proxy.url}/ui/`))
    await throttle(person.page, SLOW)
    await give(person, file)
    await person.reachesPercent(file, 50)
    // What is on its way is lost with the page.
    away = true
    proxy.server.closeAllConnections()
    await person.page.reload()
    away = false
    sent = 0
    const told = await act(person, file)
    const figures = await person.isDone(file, server)
    assert.deepEqual(twice, [], 'bytes that were stored were sent again')
    assert.ok(sent > 0)
    assert.equal(sum(stored.map(([start, end]) => end - start)), file.size)
    return { ...figures, ...told, 'sent after': kib(sent), 'stored bytes sent again': 0 }
  })
}

/** The row says what the server has, and not what the page remembers. */
async function showsWhatIsStored(person, file, server) {
  let percent
  await until('nothing arrives any more, and the row says so', async () => {
    const before = await server.received(file.name)
    percent = Math.floor((before / file.size) * 100)
    await sleep(150)
    return (await person.percent(file)) === percent && (await server.received(file.name)) === before
  })
  return { shown: `${percent} %` }
}

const drop = (person, file) => person.drop(file)
const pick = (person, file) => person.pick(file)

/** A reload keeps what the browser was allowed to read: nobody has to do anything. */
async function reloaded(stage) {
  return halfway(stage, { name: 'reloaded', give: drop, act: () => ({ clicks: 0 }) })
}

/** The browser asks before it lets the page read the file. No driver can answer that question; a click must lead to it. */
async function stillKnown(stage) {
  await stage.visit.context.addInitScript(() => {
    if (!('FileSystemFileHandle' in window)) return // an empty page, that is
    const { prototype } = FileSystemFileHandle
    const { requestPermission } = prototype
    let answer = 'prompt'
    prototype.queryPermission = async () => answer
    prototype.requestPermission = async function (what) {
      if (!navigator.userActivation.isActive) throw new DOMException('nobody has clicked', 'SecurityError')
      answer = await requestPermission.call(this, what)
      return answer
    }
  })
  const act = async (person, file) => {
    await person.reaches(file, 'needs-permission')
    const shown = await showsWhatIsStored(person, file, stage.server)
    await person.reads('One upload is not finished')
    await person.isAccessible('leave to read is asked for')
    let dialogs = 0
    person.page.on('filechooser', () => {
      dialogs += 1
    })
    const clicked = Date.now()
    await person.page.getByRole('button', { name: 'Resume all' }).click()
    await person.reaches(file, 'uploading', 'done')
    assert.equal(dialogs, 0, 'a file had to be chosen')
    return { ...shown, clicks: 1, 'goes on after': `${Date.now() - clicked} ms` }
  }
  return halfway(stage, { name: 'known', give: drop, act })
}

async function chosenAgain(stage) {
  // The dialog of the operating system is not the page's; the one that a driver can answer stands in for it.
  await stage.visit.context.addInitScript(() => delete window.showOpenFilePicker)
  const act = async (person, file) => {
    await person.reaches(file, 'needs-file')
    const shown = await showsWhatIsStored(person, file, stage.server)
    const dialog = person.page.waitForEvent('filechooser')
    await person.press('Choose the file again', file)
    await (await dialog).setFiles(file.path)
    await person.reaches(file, 'uploading', 'done')
    assert.equal(await person.page.locator('onward-upload li.row').count(), 1)
    return shown
  }
  return halfway(stage, { name: 'chosen', give: pick, act })
}

/** How many files the page has kept leave for. */
async function keptHandles() {
  const open = indexedDB.open('onward-upload')
  await new Promise((resolve) => {
    open.onsuccess = resolve
  })
  const all = open.result.transaction('records').objectStore('records').getAll()
  await new Promise((resolve) => {
    all.onsuccess = resolve
  })
  open.result.close()
  return all.result.filter((record) => record.handle).length
}

async function droppedAgain(stage) {
  const act = async (person, file) => {
    await person.reaches(file, 'needs-file')
    const shown = await showsWhatIsStored(person, file, stage.server)
    await person.drop(file, { x: 40, y: 500 })
    await person.reaches(file, 'uploading')
    // From now on the browser knows the file: another reload would ask for no file.
    await until('the file is kept', () => person.page.evaluate(keptHandles))
    assert.equal(await person.page.locator('onward-upload li.row').count(), 1)
    return shown
  }
  return halfway(stage, { name: 'dropped', give: pick, act })
}

export const RETURNS = {
  reloaded,
  'still known': stillKnown,
  'chosen again': chosenAgain,
  'dropped again': droppedAgain,
}
