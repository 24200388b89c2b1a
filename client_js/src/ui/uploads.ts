/** All uploads of one uploader, shown below the place where files are dropped. Fetched after the first paint. */

import type { Snapshot, State, Uploader, UploadTask } from '../core/types.js'
import { Announcer } from './announcer.js'
import { Banner } from './banner.js'
import { button, h, icon, setAttribute, setText } from './dom.js'
import words from './i18n/en.uploads.json' with { type: 'json' }
import type { Words } from './i18n/index.js'
import { List } from './list.js'
import { News } from './news.js'
import type { Action } from './phrases.js'
import type { Afterwards } from './repeat.js'
import { ACTIVE, ENDED, shareOfAll } from './states.js'
import { summary } from './summary.js'
import { type FilterName, Tools } from './tools.js'

export { STYLES } from './uploads-styles.js'
export { words }

const SHOWN: Readonly<Record<FilterName, (state: State) => boolean>> = {
  all: () => true,
  active: (state) => ACTIVE.has(state),
  paused: (state) =>
    state === 'paused' || state === 'needs-file' || state === 'needs-permission' || state === 'elsewhere',
  failed: (state) => state === 'failed' || state === 'cancelled',
  done: (state) => state === 'done',
}

/** What the uploads ask of the panel around them. */
export interface UploadsHost {
  readonly after: Afterwards
  /** The number of the drop that an upload came with. */
  batchOf(task: UploadTask): number
  /** Shows the browser's dialog. */
  choose(): void
  /** Somebody has pressed a button: what was said before is over. */
  acts(): void
  /** The last row is gone, and the focus has to go somewhere. */
  leaves(): void
  /** Tells a screen reader. */
  say(sentence: string): void
}

export class Uploads {
  readonly #uploader: Uploader
  readonly #words: Words
  readonly #host: UploadsHost
  readonly #banner: Banner
  readonly #tools: Tools
  readonly #list: List
  readonly #announcer: Announcer
  readonly #news: News
  #filter: FilterName = 'all'
  #shown: readonly UploadTask[] = []

  constructor(uploader: Uploader, words: Words, host: UploadsHost) {
    this.#uploader = uploader
    this.#words = words
    this.#host = host
    this.#banner = new Banner({
      words,
      resumeAll: (tasks) => this.#resume(tasks),
      choose: () => host.choose(),
      discard: (tasks) => this.#discard(tasks),
    })
    this.#tools = new Tools(words, uploader, (filter) => this.#choose(filter))
    this.#list = new List({ words, after: host.after, act: (task, action) => this.#act(task, action) })
    this.#announcer = new Announcer((sentence) => host.say(sentence))
    this.#news = new News(this.#announcer, words, uploader.tasks)
  }

  /** Puts everything where it belongs; `isFolded` is null where the panel does not float. */
  into(body: HTMLElement, isFolded: boolean | null): void {
    body.prepend(this.#banner.element)
    body.append(this.#tools.element, this.#list.element)
    if (isFolded !== null) body.before(this.#dock(body, isFolded))
  }

  /** Shows what was added last. */
  toTop(): void {
    this.#list.toTop()
  }

  /** Opens or closes what an upload has to tell. */
  toggle(id: string, open: boolean): void {
    this.#list.toggle(id, open)
  }

  render(): void {
    const snapshot = this.#uploader.getSnapshot()
    const { tasks } = this.#uploader
    this.#banner.update(tasks)
    this.#tools.update(snapshot, tasks, this.#filter)
    this.#list.show(this.#choice(tasks), Date.now())
    this.#news.update(tasks, snapshot.connection)
    this.#bar?.(snapshot, tasks)
  }

  redraw(): void {
    this.#list.redraw()
  }

  close(): void {
    this.#announcer.close()
    this.#list.close()
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
      if (!shows(task.state)) continue
      const batch = this.#host.batchOf(task)
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
    this.#host.acts()
    switch (action) {
      case 'pause':
        task.pause()
        break
      case 'cancel':
        void task.cancel({ deleteOnServer: true })
        break
      case 'remove':
        this.#remove(task)
        break
      case 'choose':
        this.#host.choose()
        break
      default:
        task.resume()
    }
  }

  /** Focus goes to the row that takes its place: whoever uses keys must not begin from the top. */
  #remove(task: UploadTask): void {
    const at = this.#shown.indexOf(task)
    this.#uploader.remove(task.id)
    this.render()
    if (!this.#list.focus(Math.min(at, this.#shown.length - 1))) this.#host.leaves()
  }

  #resume(tasks: readonly UploadTask[]): void {
    for (const task of tasks) if (task.state === 'needs-permission') task.resume()
  }

  #discard(tasks: readonly UploadTask[]): void {
    for (const task of tasks) {
      void task.cancel({ deleteOnServer: true }).then(() => this.#uploader.remove(task.id))
    }
  }

  #bar: ((snapshot: Snapshot, tasks: readonly UploadTask[]) => void) | undefined

  /** The head of the panel where it floats in a corner: says how all stands, folds the rest away. */
  #dock(body: HTMLElement, isFolded: boolean): HTMLElement {
    const words = this.#words
    const said = h('span', { class: 'dock-text' })
    const head = button('dock-head', () => fold(!body.hidden), said, icon('down'))
    head.setAttribute('aria-controls', 'body')
    const acked = h('i', { class: 'acked' })
    const fold = (isFolded: boolean) => {
      body.hidden = isFolded
      setAttribute(head, 'aria-expanded', String(!isFolded))
      body.parentElement?.classList.toggle('folded', isFolded)
    }
    fold(isFolded)
    this.#bar = (snapshot, tasks) => {
      const open = tasks.filter((task) => !ENDED.has(task.state))
      const share = open.length > 0 ? shareOfAll(open) : 0
      setText(said, summary(snapshot, open.length, share, words))
      acked.style.setProperty('transform', `scaleX(${share})`)
    }
    return h('div', { class: 'dock' }, head, h('div', { class: 'bar' }, acked))
  }
}
