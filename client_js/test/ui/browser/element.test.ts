import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { CELL } from '../../../src/core/types.js'
import { OnwardUpload } from '../../../src/ui/element.js'
import { loadUploads } from '../../../src/ui/panel.js'
import { failure, ScriptedUploader } from '../scripted.js'

let uploader: ScriptedUploader
let element: OnwardUpload

beforeAll(loadUploads)

beforeEach(() => {
  document.documentElement.lang = 'en'
  uploader = new ScriptedUploader()
  element = show('multiple directory details')
})

afterEach(() => document.body.replaceChildren())

function show(attributes: string, into: Element = document.body): OnwardUpload {
  const made = new OnwardUpload()
  for (const attribute of attributes.split(' ')) {
    const [name = '', value = ''] = attribute.split('=')
    made.setAttribute(name, value)
  }
  made.uploader = uploader
  into.append(made)
  return made
}

function root(of = element): ShadowRoot {
  return of.shadowRoot as ShadowRoot
}
const all = (selector: string) => [...root().querySelectorAll<HTMLElement>(selector)]
const one = (selector: string) => {
  const [found] = all(selector)
  if (!found) throw new Error(`there is no ${selector}`)
  return found
}
const text = (selector: string) => (one(selector).textContent ?? '').replace(/[\u00a0\u202f]/g, ' ')
const drawn = () => new Promise<void>((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve())))

const plain = (said: string | null) => (said ?? '').replace(/[\u00a0\u202f]/g, ' ')

/** True if the colour of an element is somewhere on a canvas. */
function isPainted(on: HTMLElement, selector: string): boolean {
  const sample = document.createElement('canvas').getContext('2d') as CanvasRenderingContext2D
  sample.fillStyle = getComputedStyle(one(selector)).backgroundColor
  sample.fillRect(0, 0, 1, 1)
  const wanted = new Uint32Array(sample.getImageData(0, 0, 1, 1).data.buffer)[0]
  const canvas = on as HTMLCanvasElement
  const painted = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? []
  return wanted !== undefined && new Uint32Array(new Uint8Array(painted).buffer).includes(wanted)
}

/** Opens the first row; what is inside may have to be fetched. */
const opened = async () => {
  one('.more').click()
  await vi.waitFor(() => one('canvas.tracks'))
}

test('the drop zone is one real button with a name', () => {
  const button = one('.drop-button')
  expect(button.tagName).toBe('BUTTON')
  expect(button.textContent).toContain('Choose files, or drop or paste them here')
})

test('files that are dropped are added; the zone shows that it is a place to drop', async () => {
  const data = new DataTransfer()
  data.items.add(new File(['abc'], 'a.txt'))
  const fire = (type: string) => {
    const event = new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true, composed: true })
    one('.drop-button').dispatchEvent(event)
    return event
  }
  fire('dragenter')
  expect(one('.drop-button').classList.contains('over')).toBe(true)
  expect(fire('dragover').defaultPrevented).toBe(true)
  const add = vi.spyOn(uploader, 'add')
  expect(fire('drop').defaultPrevented).toBe(true)
  expect(add).toHaveBeenCalledOnce()
  expect(one('.drop-button').classList.contains('over')).toBe(false)
})

test('what is dropped keeps to the kinds and the number that may be chosen', async () => {
  element.remove()
  element = show('accept=.pdf,image/*')
  const file = (name: string, type = '') => new File(['x'], name, { type })
  await element.add([file('a.exe'), file('b.PDF'), file('c', 'image/png')])
  expect(uploader.added.map(({ name }) => name)).toEqual(['b.PDF'])
  expect(text('.notice')).toBe('a.exe is not of a kind that is taken here.')
})

test('where the browser gives handles, a chosen file brings its own; leaving the dialog adds nothing', async () => {
  const handle = { kind: 'file', name: 'a.txt', getFile: async () => new File(['abc'], 'a.txt') }
  const picker = vi.fn().mockResolvedValueOnce([handle])
  picker.mockRejectedValueOnce(new DOMException('left', 'AbortError'))
  vi.stubGlobal('showOpenFilePicker', picker)
  one('.drop-button').click()
  await vi.waitFor(() => expect(uploader.added).toHaveLength(1))
  expect(uploader.added[0]?.handle).toBe(handle)
  one('.drop-button').click()
  await drawn()
  expect(picker).toHaveBeenCalledTimes(2)
  expect(uploader.added).toHaveLength(1)
  vi.unstubAllGlobals()
})

test('elsewhere the input of the page is the dialog, and the same file may be chosen again', async () => {
  vi.stubGlobal('showOpenFilePicker', undefined)
  const input = one('input[type=file]') as HTMLInputElement
  const opened = vi.spyOn(input, 'click').mockImplementation(() => {})
  one('.drop-button').click()
  await vi.waitFor(() => expect(opened).toHaveBeenCalledOnce())
  for (let n = 1; n <= 2; n += 1) {
    const data = new DataTransfer()
    data.items.add(new File(['abc'], 'a.txt'))
    input.files = data.files
    input.dispatchEvent(new Event('change'))
    await vi.waitFor(() => expect(uploader.added).toHaveLength(n))
    expect(input.value).toBe('')
  }
  vi.unstubAllGlobals()
})

test('a screen reader is told politely that an upload has begun', async () => {
  uploader.put('film.mkv', 1000, { state: 'uploading' })
  await drawn()
  expect(one('[aria-live=polite]').textContent).toBe('The upload of film.mkv has begun.')
})

test('in the corner all is said in a line, and the rest can be folded away', async () => {
  element.setAttribute('panel', 'dock')
  uploader.put('film.mkv', 1000, { state: 'uploading', progress: { acked: 640 } })
  uploader.totals = { ...uploader.totals, bytesPerSecond: 2e6, etaSeconds: 120 }
  uploader.changed()
  await drawn()
  expect(text('.dock-head')).toBe('1 file · 64% · 2 MB/s · 2 min left')
  expect(getComputedStyle(element).position).toBe('fixed')
  one('.dock-head').click()
  expect([one('.dock-head').getAttribute('aria-expanded'), one('.body').hidden]).toEqual(['false', true])
  element.setAttribute('folded', '')
  expect(one('.body').hidden).toBe(true)
})

test('in a disabled fieldset nothing is taken', async () => {
  const fieldset = document.createElement('fieldset')
  fieldset.disabled = true
  document.body.append(fieldset)
  fieldset.append(element)
  const data = new DataTransfer()
  data.items.add(new File(['abc'], 'a.txt'))
  const drop = () => {
    const event = new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true, composed: true })
    one('.drop-button').dispatchEvent(event)
    return event.defaultPrevented
  }
  expect((one('.drop-button') as HTMLButtonElement).disabled).toBe(true)
  expect(drop()).toBe(false)
  fieldset.disabled = false
  expect((one('.drop-button') as HTMLButtonElement).disabled).toBe(false)
  expect(drop()).toBe(true)
})

test('files that are pasted are added, text is left alone', async () => {
  const add = vi.spyOn(uploader, 'add')
  const paste = (data: DataTransfer) =>
    element.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))
  const words = new DataTransfer()
  words.setData('text/plain', 'words')
  expect(paste(words)).toBe(true)
  const files = new DataTransfer()
  files.items.add(new File(['abc'], 'a.txt'))
  expect(paste(files)).toBe(false)
  expect(add).toHaveBeenCalledOnce()
})

test('a row has a bar in two tones, figures, and buttons that name the file', async () => {
  uploader.put('film.mkv', 1000, { state: 'uploading', progress: { acked: 400, inFlight: 200 } })
  await drawn()
  expect(one('.row .acked').style.transform).toBe('scaleX(0.4)')
  expect(one('.row .flight').style.transform).toBe('scaleX(0.6)')
  expect(one('.row [role=progressbar]').getAttribute('aria-valuenow')).toBe('40')
  const names = all('.row button').map((button) => button.getAttribute('aria-label'))
  expect(names).toEqual(['Pause: film.mkv', 'Cancel: film.mkv', 'Details: film.mkv'])
  one('[data-action=pause]').click()
  await drawn()
  expect(text('.row .state')).toBe('Paused')
  expect(all('.row button').map((button) => button.getAttribute('aria-label'))[0]).toBe('Resume: film.mkv')
})

test('what is stored is cancelled only by a second click', async () => {
  const task = uploader.put('film.mkv', 1000, { state: 'uploading', progress: { acked: 400 } })
  await drawn()
  one('[data-action=cancel]').click()
  expect(task.calls).toEqual([])
  expect(one('[data-action=cancel]').getAttribute('aria-label')).toBe('Really cancel?: film.mkv')
  one('[data-action=cancel]').click()
  expect(task.calls).toEqual(['cancel'])
})

test('focus stays where it was when the buttons of a row change', async () => {
  uploader.put('film.mkv', 1000, { state: 'uploading' })
  await drawn()
  one('[data-action=pause]').focus()
  one('[data-action=pause]').click()
  await drawn()
  expect(root().activeElement?.getAttribute('data-action')).toBe('resume')
})

test('when a row goes, the focus goes to the one that takes its place, at last to the drop zone', async () => {
  for (const name of ['a', 'b']) uploader.put(name, 1, { state: 'done' })
  await drawn()
  one('[data-action=remove]').click()
  expect(root().activeElement?.getAttribute('aria-label')).toBe('Details: b')
  one('[data-action=remove]').click()
  expect(root().activeElement).toBe(one('.drop-button'))
})

test('of ten thousand uploads only those in sight are in the document, wherever it is scrolled to', async () => {
  uploader.tasks = Array.from({ length: 10_000 }, (_, n) => {
    const made = new ScriptedUploader().put(`${n}.jpg`, 10, { state: 'queued' })
    made.view = { ...made.view, id: `t${n}` }
    return made
  })
  uploader.changed()
  await drawn()
  expect(all('.row').length).toBeLessThan(40)
  expect(text('.row .name')).toBe('0.jpg')
  expect(one('.row').getAttribute('aria-setsize')).toBe('10000')
  one('.list').scrollTop = 1e9
  await vi.waitFor(() => expect(all('.row').at(-1)?.getAttribute('aria-posinset')).toBe('10000'))
  expect(all('.row').length).toBeLessThan(40)
  expect(all('.row .name').at(-1)?.textContent).toBe('9999.jpg')
})

test('what was added last stands first, the files of one drop in their own order', async () => {
  const names = (...list: string[]) => list.map((name) => new File(['x'], name))
  await element.add(names('a', 'b'))
  await drawn()
  await element.add(names('c', 'd'))
  await drawn()
  expect(all('.row .name').map((name) => name.textContent)).toEqual(['c', 'd', 'a', 'b'])
})

test('a filter shows what is in a state, and says so when nothing is', async () => {
  for (const name of ['a', 'b', 'c']) uploader.put(name, 1, { state: 'uploading' })
  const done = uploader.put('d', 1, { state: 'uploading' })
  await drawn()
  const chip = all('.chip').find((button) => button.textContent === 'Done')
  chip?.click()
  expect(chip?.getAttribute('aria-pressed')).toBe('true')
  expect(all('.row')).toEqual([])
  expect(text('.none')).toBe('No upload is in this state.')
  done.set({ state: 'done' })
  await drawn()
  expect(all('.row .name').map((name) => name.textContent)).toEqual(['d'])
})

test('the pieces are described in words, and each by the arrow keys', async () => {
  const task = uploader.put('film.mkv', 4 * 262_144, { state: 'uploading' })
  task.cells = Uint8Array.of(CELL.stored, CELL.inFlight, CELL.empty, CELL.empty)
  await drawn()
  await opened()
  expect(one('.more').getAttribute('aria-expanded')).toBe('true')
  expect(text('.map-summary')).toBe('1 of 4 pieces stored. Missing: 3–4. On their way: 2.')
  const map = one('canvas')
  const press = (key: string) =>
    map.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }))
  press('ArrowRight')
  expect(map.getAttribute('aria-valuetext')).toContain('Piece 1: stored')
  press('End')
  expect(map.getAttribute('aria-valuenow')).toBe('4')
  expect(text('.map-detail')).toContain('Piece 4: not sent yet')
  expect(press('Tab')).toBe(true)
})

test('the requests are described in words, and each by the arrow keys', async () => {
  const task = uploader.put('film.mkv', 4 * 262_144, { state: 'uploading' })
  const request = { start: 0, end: 262_144, since: 1000, until: 3000, stored: 0, lane: 2 }
  task.history = [
    { ...request, outcome: 'failed' },
    { ...request, since: 4000, until: 6000, stored: 262_144, outcome: 'stored' },
  ]
  await drawn()
  await opened()
  expect(text('.times .map-summary')).toBe('2 requests in 5 sec, 1 fault. 52 kB/s on average.')
  const tracks = one('canvas.tracks')
  const press = (key: string) => tracks.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))
  press('Home')
  expect(plain(tracks.getAttribute('aria-valuetext'))).toBe(
    'lane 3 · 262 kB · failed after 2 sec · 3 sec before the end',
  )
  press('ArrowRight')
  expect(plain(tracks.getAttribute('aria-valuetext'))).toBe('lane 3 · 262 kB · stored in 2 sec · try 2')
  expect(tracks.getAttribute('aria-valuenow')).toBe('2')
  tracks.dispatchEvent(new FocusEvent('blur'))
  expect(tracks.getAttribute('aria-valuetext')).toContain('1 fault')
  expect(isPainted(tracks, '.times .swatch.failed')).toBe(true)
  expect(isPainted(tracks, '.times .swatch.lane-3')).toBe(true)
  expect(isPainted(tracks, '.times .swatch.lane-1')).toBe(false)
})

test('what a page offers afterwards is there once the upload is done', async () => {
  const calls: string[] = []
  element.afterwards = {
    snippets: async (task) => [{ tool: 'curl', text: `curl ${task.name}` }],
    remove: async () => {
      calls.push('removed')
      throw new Error('not this one')
    },
  }
  const task = uploader.put('film.mkv', 5, { state: 'uploading' })
  await drawn()
  await opened()
  expect(one('.repeat').hidden).toBe(true)
  task.set({ state: 'done', result: { id: '1', url: '/c', size: 5, verified: true } })
  await vi.waitFor(() => expect(one('.repeat').hidden).toBe(false))
  expect(text('.snippet code')).toBe('curl film.mkv')
  const remove = one('.delete button')
  remove.click()
  expect(calls).toEqual([])
  expect(remove.getAttribute('aria-label')).toBe('Really delete? film.mkv')
  remove.click()
  await vi.waitFor(() => expect(text('.delete p')).toBe('The server did not delete the file.'))
  expect(calls).toEqual(['removed'])
})

test('the pieces are drawn in the colours of the legend', async () => {
  const task = uploader.put('film.mkv', 4 * 262_144, { state: 'uploading' })
  task.cells = Uint8Array.of(CELL.stored, CELL.failed, CELL.empty, CELL.empty)
  await drawn()
  await opened()
  await drawn()
  const canvas = one('canvas') as HTMLCanvasElement
  const scale = canvas.width / canvas.clientWidth
  const pixel = (x: number, y: number) =>
    [...(canvas.getContext('2d')?.getImageData(x * scale, y * scale, 1, 1).data ?? [])].slice(0, 3).join()
  const colour = (kind: string) => {
    const context = document.createElement('canvas').getContext('2d') as CanvasRenderingContext2D
    context.fillStyle = getComputedStyle(one(`.swatch.${kind}`)).backgroundColor
    context.fillRect(0, 0, 1, 1)
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).join()
  }
  expect(pixel(9, 9)).toBe(colour('stored'))
  expect(pixel(27, 9)).toBe(colour('failed'))
  expect(colour('stored')).not.toBe(colour('failed'))
})

test('a button that stays is the same element: it keeps the focus, and a click that has begun', async () => {
  const task = uploader.put('a.bin', 10, { state: 'waiting', progress: { acked: 5 } })
  await drawn()
  const cancel = one('[data-action=cancel]')
  one('[data-action=cancel]').click()
  cancel.focus()
  task.set({ state: 'uploading' })
  await drawn()
  expect(one('[data-action=cancel]')).toBe(cancel)
  expect(root().activeElement).toBe(cancel)
  expect(all('.actions > *').map((button) => button.dataset.action)).toEqual(['pause', 'cancel'])
  cancel.click()
  expect(task.calls).toEqual(['cancel'])
  task.set({ state: 'waiting' })
  await drawn()
  expect(all('.actions > *').map((button) => button.dataset.action)).toEqual(['now', 'pause', 'cancel'])
})

test('where one upload lacks its file, one file is asked for', async () => {
  uploader.put('a.bin', 10, { state: 'needs-file' })
  await drawn()
  const buttons = all('.banner button').filter((button) => !button.hidden)
  expect(buttons.map((button) => button.textContent)).toEqual(['Choose the file again', 'Discard'])
  expect(text('.banner p')).toMatch(/Choose the same file again, or drop it here\.$/)
})

test('a long name is cut in two where no letter is joined to its neighbour', async () => {
  const names = [
    'a-long-name-of-a-film.tar.gz',
    'a-long-name-of-a-fil\u{1f600}😀😀.mkv',
    'قائمة الملفات تقرير سنوي.pdf',
    'ファイルの名前がとても長い場合の例',
  ]
  for (const name of names) uploader.put(name, 10, { state: 'done' })
  await drawn()
  expect(all('.file').map((file) => file.textContent)).toEqual(names)
  expect(all('.tail').map((tail) => tail.textContent)).toEqual(['lm.tar.gz', '.mkv', ' سنوي.pdf', ''])
})

test('what has failed is not called done', async () => {
  uploader.put('a.bin', 10, { state: 'done' })
  uploader.put('b.bin', 10, { state: 'failed', error: failure('quota') })
  await drawn()
  expect(text('.summary').replaceAll('\u00a0', ' ')).toBe('1 file done · 1 failed')
})

test('after a reload three ways to go on are offered', async () => {
  const handle = uploader.put('a.bin', 10, { state: 'needs-permission' })
  const lost = uploader.put('b.bin', 10, { state: 'needs-file' })
  await drawn()
  expect(text('.banner h2')).toBe('2 uploads are not finished')
  const buttons = all('.banner button').filter((button) => !button.hidden)
  expect(buttons.map((button) => button.textContent)).toEqual(['Resume all', 'Choose the file again', 'Discard'])
  buttons[0]?.click()
  expect(handle.calls).toEqual(['resume'])
  lost.answer = 'mismatch'
  await element.add([new File(['0123456789'], 'b.bin')])
  expect(lost.calls).toEqual(['attach'])
  expect(uploader.added).toEqual([])
  expect(text('.notice')).toContain('b.bin: That is another file')
})

test('a failure is a sentence', async () => {
  uploader.put('film.mkv', 1000, { state: 'failed', error: failure('quota') })
  await drawn()
  expect(text('.row .sentence')).toBe(
    'The server has no room left. What has arrived is safe; try again when there is room.',
  )
})

test('both digests are shown when it is done', async () => {
  const sha256 = 'ab'.repeat(32)
  const result = { id: '1', url: '/files/1/content', size: 5, sha256, ownSha256: sha256, verified: true }
  uploader.put('film.mkv', 5, { state: 'done', result })
  await drawn()
  await opened()
  expect(all('.proof code').map((code) => code.textContent)).toEqual([sha256, sha256])
  expect(text('.proof p')).toContain('Both sides agree')
  expect(one('.row a[download]').getAttribute('href')).toBe('/files/1/content')
})

test('a file name is never markup', async () => {
  uploader.put('<img src=x onerror=alert(1)>.png', 5, { relativePath: '<b>/x' })
  await drawn()
  expect(all('img')).toEqual([])
  expect(one('.row .file').textContent).toBe('<img src=x onerror=alert(1)>.png')
})

test('a form gets the ids of the uploads that are done, and waits for those that are not', async () => {
  const form = document.createElement('form')
  document.body.append(form)
  element = show('name=files required', form)
  expect(form.checkValidity()).toBe(false)
  const task = uploader.put('a.bin', 10, { state: 'uploading' })
  expect(form.checkValidity()).toBe(false)
  task.set({ state: 'done', result: { id: 'id-1', url: '', size: 10, verified: true } })
  uploader.put('b.bin', 10, { state: 'done', result: { id: 'id-2', url: '', size: 10, verified: true } })
  expect(form.checkValidity()).toBe(true)
  expect(new FormData(form).getAll('files')).toEqual(['id-1', 'id-2'])
})

test('what happens is told by events that bubble', async () => {
  const told: string[] = []
  for (const name of ['added', 'state', 'done', 'failed', 'idle']) {
    document.body.addEventListener(`onward-${name}`, () => told.push(name), { once: true })
  }
  const [task] = await uploader.add([new File(['x'], 'a.txt')])
  task?.set({ state: 'uploading' })
  task?.set({ state: 'done', result: { id: '1', url: '', size: 1, verified: true } })
  expect(told.sort()).toEqual(['added', 'done', 'idle', 'state'])
})

test('another language takes the place of the first, uploads stay', async () => {
  uploader.put('film.mkv', 1000, { state: 'paused', progress: { acked: 400 } })
  element.lang = 'de'
  await vi.waitFor(() => expect(text('.row .state')).toBe('Angehalten'))
  expect(text('.row .figures')).toBe('400 Byte von 1 kB')
})

test('an element that is taken away listens to nothing any more', () => {
  const before = uploader.subscribers
  element.remove()
  expect(uploader.subscribers).toBeLessThan(before)
  expect(uploader.subscribers).toBe(0)
})
