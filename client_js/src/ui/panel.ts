/** Where files are dropped, and below it the uploads. The element and the page show this. */

import type { UploadError } from '../core/errors.js'
import type { AddInput, AddOptions, Source, Uploader, UploadTask } from '../core/types.js'
import { sourcesOf } from '../env/inputs.js'
import { h, setAttribute, setText } from './dom.js'
import { type DropOptions, DropZone } from './dropzone.js'
import { learn, type Words } from './i18n/index.js'
import { isAccepted, matched } from './picking.js'
import type { Afterwards } from './repeat.js'
import { ACTIVE } from './states.js'
import { addStyles } from './styles.js'
import type { Uploads } from './uploads.js'

const SECOND = 1000
/** Milliseconds after which a part is asked for again that could not be loaded. */
const LOAD_AGAIN = 3000
/** Files that a sentence names. */
const NAMED = 3

export interface PanelOptions extends DropOptions {
  readonly dock: boolean
  /** A dock shows its head alone until somebody opens it. */
  readonly folded: boolean
  /** Opens the pieces of a file that is added alone. */
  readonly details: boolean
  readonly after: Afterwards
}

/** What shows uploads, once it has come. */
let shows: typeof Uploads | undefined

/** Fetches what shows uploads; until it is there files can be added all the same. */
export async function loadUploads(): Promise<void> {
  if (shows) return
  const part = await import('./uploads.js')
  learn(part.words)
  addStyles(part.STYLES)
  shows = part.Uploads
}

export class Panel {
  readonly element: HTMLElement
  readonly drop: DropZone
  readonly #uploader: Uploader
  readonly #words: Words
  readonly #options: PanelOptions
  readonly #notice = h('p', { class: 'notice', role: 'alert', hidden: true })
  readonly #live = h('p', { class: 'unseen', 'aria-live': 'polite' })
  readonly #body: HTMLElement
  readonly #off: (() => void)[] = []
  #uploads: Uploads | undefined
  #isLoading = false
  #frame = 0
  #batch = 0
  /** The upload that was opened by itself. */
  #opened = ''
  readonly #batchOf = new WeakMap<UploadTask, number>()

  constructor(uploader: Uploader, words: Words, options: PanelOptions) {
    this.#uploader = uploader
    this.#words = words
    this.#options = options
    this.drop = new DropZone(words, options, (input) => void this.add(input))
    this.#body = h('div', { class: 'body', id: 'body' }, this.drop.element, this.#notice)
    this.element = h('div', { class: 'panel', part: 'panel' }, this.#body, this.#live, this.drop.overlay)
  }

  /** Begins to listen; `host` is the element that shows the panel. */
  connect(host: HTMLElement): void {
    this.drop.listen(host)
    this.#off.push(this.#uploader.subscribe(() => this.#later()))
    const tick = setInterval(() => this.#tick(), SECOND)
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const redraw = () => this.redraw()
    dark.addEventListener('change', redraw)
    this.#off.push(
      () => clearInterval(tick),
      () => dark.removeEventListener('change', redraw),
    )
    this.render()
    // After the first paint: without a network it could not be had any more.
    requestAnimationFrame(() => setTimeout(() => void this.#load()))
  }

  /** Lets go of everything but the uploads, which go on. */
  close(): void {
    cancelAnimationFrame(this.#frame)
    for (const off of this.#off.splice(0)) off()
    this.drop.close()
    this.#uploads?.close()
  }

  /** Takes files, gives those that unfinished uploads lack to them, and begins with the others. */
  async add(input: AddInput, options?: AddOptions): Promise<UploadTask[]> {
    this.#notice.hidden = true
    this.#batch += 1
    try {
      if ('getReader' in input) return this.#added(await this.#uploader.add(input, options))
      const { accept, multiple } = this.#options
      const unfinished = this.#uploader.tasks.filter((task) => task.state === 'needs-file')
      const isFree = multiple && accept === '' && unfinished.length === 0
      if (isFree) return this.#added(await this.#uploader.add(input, options))
      const files = this.#wanted(await sourcesOf(input))
      if (files.length === 0) return []
      const { pairs, rest } = matched(files, unfinished)
      const added = rest.length > 0 ? await this.#uploader.add(rest, options) : []
      for (const [task, file] of pairs) {
        if ((await task.attach(file)) === 'mismatch') this.#say(`${task.name}: ${this.#words.text('say.mismatch')}`)
      }
      return pairs.length > 0 ? added : this.#added(added)
    } catch (error) {
      const { code, message } = error as Partial<UploadError>
      this.#say(code === 'network' ? this.#words.text('error.network') : (message ?? this.#words.text('error.unknown')))
      return []
    }
  }

  /** Those of the files that may be added here; a dialog keeps to it by itself, a drop does not. */
  #wanted(files: Source[]): Source[] {
    const { accept, multiple } = this.#options
    const refused = files.filter((file) => !isAccepted(file, accept))
    if (refused.length > 0) {
      const names = refused.slice(0, NAMED).map((file) => file.name)
      this.#say(this.#words.count('drop.refused', refused.length, { names: names.join(', ') }))
    }
    const taken = files.filter((file) => isAccepted(file, accept))
    return multiple ? taken : taken.slice(0, 1)
  }

  /** Brings everything up to date at once. */
  render(): void {
    const { tasks } = this.#uploader
    for (const task of tasks) if (!this.#batchOf.has(task)) this.#batchOf.set(task, this.#batch)
    setAttribute(this.element, 'data-busy', String(tasks.some((task) => ACTIVE.has(task.state))))
    setAttribute(this.element, 'data-empty', String(tasks.length === 0))
    if (shows) this.#show(shows).render()
    else if (tasks.length > 0) void this.#load()
  }

  /** Draws what is on canvases anew, as for other colours. */
  redraw(): void {
    this.#uploads?.redraw()
  }

  async #load(): Promise<void> {
    if (this.#uploads || this.#isLoading || this.#off.length === 0) return
    this.#isLoading = true
    try {
      await loadUploads()
    } catch (error) {
      console.warn('onward-upload:', error)
      if (this.#uploader.tasks.length > 0) this.#say(this.#words.text('error.part'))
      setTimeout(() => void this.#load(), LOAD_AGAIN)
      return
    } finally {
      this.#isLoading = false
    }
    if (this.#off.length > 0) this.render()
  }

  #show(kind: typeof Uploads): Uploads {
    if (this.#uploads) return this.#uploads
    const { after, dock, folded } = this.#options
    this.#uploads = new kind(this.#uploader, this.#words, {
      after,
      batchOf: (task) => this.#batchOf.get(task) ?? 0,
      choose: () => void this.drop.open(),
      acts: () => {
        this.#notice.hidden = true
      },
      leaves: () => this.drop.button.focus(),
      say: (sentence) => setText(this.#live, sentence),
    })
    this.#uploads.into(this.#body, dock ? folded : null)
    if (this.#opened) this.#uploads.toggle(this.#opened, true)
    // What was said of its absence is over.
    if (this.#notice.textContent === this.#words.text('error.part')) this.#notice.hidden = true
    return this.#uploads
  }

  #added(tasks: UploadTask[]): UploadTask[] {
    const [only] = tasks
    if (!only) this.#say(this.#words.text('drop.empty'))
    this.#uploads?.toTop()
    if (!only || !this.#options.details || tasks.length > 1) return tasks
    if (this.#opened) this.#uploads?.toggle(this.#opened, false)
    this.#opened = only.id
    this.#uploads?.toggle(only.id, true)
    return tasks
  }

  #say(sentence: string): void {
    setText(this.#notice, sentence)
    this.#notice.hidden = false
  }

  #later(): void {
    if (this.#frame) return
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0
      this.render()
    })
  }

  /** Seconds until the next try are counted down. */
  #tick(): void {
    if (this.#uploader.tasks.some((task) => task.view.retryAt !== undefined)) this.#later()
  }
}
