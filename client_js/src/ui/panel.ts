/** All pieces of the interface put together for one uploader. The element and the page show this. */

import type { AddInput, Snapshot, Source, State, Uploader, UploadTask } from '../core/types.js'
import { Announcer } from './announcer.js'
import { Banner } from './banner.js'
import { button, h, icon, setAttribute, setText } from './dom.js'
import { type DropOptions, DropZone } from './dropzone.js'
import type { Words } from './i18n/index.js'
import { List } from './list.js'
import { News } from './news.js'
import { ACTIVE, type Action, ENDED } from './phrases.js'
import { isAccepted, matched, plainFiles } from './picking.js'
import { shareOfAll, summary } from './summary.js'
import { type FilterName, Tools } from './tools.js'

const SECOND = 1000
/** Files that a sentence names. */
const NAMED = 3

const SHOWN: Readonly<Record<FilterName, (state: State) => boolean>> = {
  all: () => true,
  active: (state) => ACTIVE.has(state),
  paused: (state) =>
    state === 'paused' || state === 'needs-file' || state === 'needs-permission' || state === 'elsewhere',
  failed: (state) => state === 'failed' || state === 'cancelled',
  done: (state) => state === 'done',
}

export interface PanelOptions extends DropOptions {
  readonly dock: boolean
  /** A dock shows its head alone until somebody opens it. */
  readonly folded: boolean
  /** Opens the pieces of a file that is added alone. */
  readonly details: boolean
}

export class Panel {
  readonly element: HTMLElement
  readonly drop: DropZone
  readonly #uploader: Uploader
  readonly #words: Words
  readonly #options: PanelOptions
  readonly #banner: Banner
  readonly #tools: Tools
  readonly #list: List
  readonly #notice = h('p', { class: 'notice', role: 'alert', hidden: true })
  readonly #live = h('p', { class: 'unseen', 'aria-live': 'polite' })
  readonly #announcer: Announcer
  readonly #news: News
  readonly #body: HTMLElement
  readonly #off: (() => void)[] = []
  #frame = 0
  #batch = 0
  /** The upload that was opened by itself. */
  #opened = ''
  readonly #batchOf = new WeakMap<UploadTask, number>()
  #filter: FilterName = 'all'
  #shown: readonly UploadTask[] = []

  constructor(uploader: Uploader, words: Words, options: PanelOptions) {
    this.#uploader = uploader
    this.#words = words
    this.#options = options
    this.drop = new DropZone(words, options, (input) => void this.add(input))
    this.#banner = new Banner({
      words,
      resumeAll: (tasks) => this.#resume(tasks),
      choose: () => void this.drop.open(),
      discard: (tasks) => this.#discard(tasks),
    })
    this.#tools = new Tools(words, uploader, (filter) => this.#choose(filter))
    this.#list = new List({ words, act: (task, action) => this.#act(task, action) })
    this.#announcer = new Announcer((sentence) => setText(this.#live, sentence))
    this.#news = new News(this.#announcer, words)
    this.#body = h('div', { class: 'body', id: 'body' }, this.#banner.element, this.drop.element, this.#notice)
    this.#body.append(this.#tools.element, this.#list.element)
    this.element = h('div', { class: 'panel', part: 'panel' })
    if (options.dock) this.element.append(this.#dock())
    this.element.append(this.#body, this.#live, this.drop.overlay)
  }

  /** Begins to listen; `host` is the element that shows the panel. */
  connect(host: HTMLElement): void {
    this.drop.listen(host)
    this.#off.push(this.#uploader.subscribe(() => this.#later()))
    const tick = setInterval(() => this.#tick(), SECOND)
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const redraw = () => this.#list.redraw()
    dark.addEventListener('change', redraw)
    this.#off.push(
      () => clearInterval(tick),
      () => dark.removeEventListener('change', redraw),
    )
    this.render()
  }

  /** Lets go of everything but the uploads, which go on. */
  close(): void {
    cancelAnimationFrame(this.#frame)
    for (const off of this.#off.splice(0)) off()
    this.drop.close()
    this.#announcer.close()
    this.#list.close()
  }

  /** Takes files, gives those that unfinished uploads lack to them, and begins with the others. */
  async add(input: AddInput): Promise<UploadTask[]> {
    this.#notice.hidden = true
    this.#batch += 1
    try {
      const { accept, multiple } = this.#options
      const unfinished = this.#uploader.tasks.filter((task) => task.state === 'needs-file')
      const isFree = multiple && accept === '' && unfinished.length === 0
      const files = isFree ? null : this.#wanted(sourcesOf(input))
      if (!files) return this.#added(await this.#uploader.add(input))
      if (files.length === 0) return []
      const { pairs, rest } = matched(files, unfinished)
      const added = rest.length > 0 ? await this.#uploader.add(rest) : []
      for (const [task, file] of pairs) {
        if ((await task.attach(file)) === 'mismatch') this.#say(`${task.name}: ${this.#words.text('say.mismatch')}`)
      }
      return pairs.length > 0 ? added : this.#added(added)
    } catch (error) {
      this.#say(error instanceof Error ? error.message : this.#words.text('error.unknown'))
      return []
    }
  }

  /** Those of the files that may be added here; a dialog keeps to it by itself, a drop does not. */
  #wanted(files: Source[] | null): Source[] | null {
    const { accept, multiple } = this.#options
    if (!files) return null
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
    const snapshot = this.#uploader.getSnapshot()
    const { tasks } = this.#uploader
    this.#banner.update(tasks)
    this.#tools.update(snapshot, tasks, this.#filter)
    this.#list.show(this.#choice(tasks), Date.now())
    this.#news.update(tasks, snapshot.connection)
    setAttribute(this.element, 'data-busy', String(tasks.some((task) => ACTIVE.has(task.state))))
    setAttribute(this.element, 'data-empty', String(tasks.length === 0))
    this.#bar?.(snapshot, tasks)
  }

  /** Draws what is on canvases anew, as for other colours. */
  redraw(): void {
    this.#list.redraw()
  }

  #added(tasks: UploadTask[]): UploadTask[] {
    const [only] = tasks
    if (!only) this.#say(this.#words.text('drop.empty'))
    if (!only || !this.#options.details || tasks.length > 1) return tasks
    if (this.#opened) this.#list.toggle(this.#opened, false)
    this.#opened = only.id
    this.#list.toggle(only.id, true)
    return tasks
  }

  #say(sentence: string): void {
    setText(this.#notice, sentence)
    this.#notice.hidden = false
  }

  #choose(filter: FilterName): void {
    this.#filter = filter
    this.render()
  }

  /** The uploads to show, what was added last first, in its own order; the same array as long as they are the same. */
  #choice(tasks: readonly UploadTask[]): readonly UploadTask[] {
    const shows = SHOWN[this.#filter]
    const batches: UploadTask[][] = []
    for (const task of tasks) {
      let batch = this.#batchOf.get(task)
      if (batch === undefined) {
        batch = this.#batch
        this.#batchOf.set(task, batch)
      }
      if (!shows(task.state)) continue
      const row = batches[batch] ?? []
      batches[batch] = row
      row.push(task)
    }
    const chosen = batches.reverse().flat()
    const same = chosen.length === this.#shown.length && chosen.every((task, at) => task === this.#shown[at])
    if (!same) this.#shown = chosen
    return this.#shown
  }

  #act(task: UploadTask, action: Action): void {
    this.#notice.hidden = true
    switch (action) {
      case 'pause':
        task.pause()
        break
      case 'cancel':
        void task.cancel({ deleteOnServer: true })
        break
      case 'remove':
        this.#uploader.remove(task.id)
        break
      case 'choose':
        void this.drop.open()
        break
      default:
        task.resume()
    }
  }

  #resume(tasks: readonly UploadTask[]): void {
    for (const task of tasks) if (task.state === 'needs-permission') task.resume()
  }

  #discard(tasks: readonly UploadTask[]): void {
    for (const task of tasks) {
      void task.cancel({ deleteOnServer: true }).then(() => this.#uploader.remove(task.id))
    }
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

  #bar: ((snapshot: Snapshot, tasks: readonly UploadTask[]) => void) | undefined

  /** The head of the panel where it floats in a corner: says how all stands, folds the rest away. */
  #dock(): HTMLElement {
    const words = this.#words
    const said = h('span', { class: 'dock-text' })
    const head = button('dock-head', () => fold(!this.#body.hidden), said, icon('down'))
    head.setAttribute('aria-controls', 'body')
    const acked = h('i', { class: 'acked' })
    const fold = (isFolded: boolean) => {
      this.#body.hidden = isFolded
      setAttribute(head, 'aria-expanded', String(!isFolded))
      this.element.classList.toggle('folded', isFolded)
    }
    fold(this.#options.folded)
    this.#bar = (snapshot, tasks) => {
      const open = tasks.filter((task) => !ENDED.has(task.state))
      const share = open.length > 0 ? shareOfAll(open) : 0
      setText(said, summary(snapshot, open.length, share, words))
      acked.style.setProperty('transform', `scaleX(${share})`)
    }
    return h('div', { class: 'dock' }, head, h('div', { class: 'bar' }, acked))
  }
}

/** Files that can be told apart before they are added; null for what only the uploader can read. */
function sourcesOf(input: AddInput): Source[] | null {
  if (Symbol.iterator in input) return [...input]
  const data = 'dataTransfer' in input ? input.dataTransfer : 'clipboardData' in input ? input.clipboardData : input
  return data ? plainFiles(data as DataTransfer) : null
}
