/** One upload in the list. Made once, then only what has changed is touched. */

import type { TaskView, UploadTask } from '../core/types.js'
import type { Details } from './details.js'
import { button, h, type IconName, icon, setAttribute, setIcon, setText } from './dom.js'
import { learn, type Words } from './i18n/index.js'
import { type Action, type Phrase, phraseOf, shareOf } from './phrases.js'
import type { Afterwards } from './repeat.js'
import { addStyles } from './styles.js'

/** Milliseconds in which a second click on "cancel" must come. */
const SURE = 4000
/** Milliseconds after which the inside of a row is asked for again that could not be loaded. */
const LOAD_AGAIN = 3000

const ICONS: Readonly<Record<Action, IconName>> = {
  pause: 'pause',
  resume: 'play',
  now: 'retry',
  retry: 'retry',
  cancel: 'close',
  remove: 'close',
  choose: 'file',
  allow: 'play',
  here: 'play',
}
/** Actions that are worth a word, not just a drawing. */
const NAMED: ReadonlySet<Action> = new Set<Action>(['choose', 'allow', 'here', 'retry', 'now'])

/** What is shown of an upload that is opened, once it has come. */
let inside: typeof Details | undefined

/** Fetches it; rejects if that cannot be done just now. */
export async function loadDetails(): Promise<typeof Details> {
  if (inside) return inside
  const part = await import('./details.js')
  learn(part.words)
  if (!inside) addStyles(part.STYLES)
  inside = part.Details
  return inside
}

/** What a row asks of the list. */
export interface RowHost {
  readonly words: Words
  readonly after: Afterwards
  act(task: UploadTask, action: Action): void
  toggle(task: UploadTask, open: boolean): void
}

export class Row {
  readonly element: HTMLLIElement
  readonly task: UploadTask
  readonly #host: RowHost
  readonly #label = h('span', { class: 'state' })
  readonly #figures = h('span', { class: 'figures' })
  readonly #trouble = h('span', { class: 'trouble' })
  readonly #sentence = h('p', { class: 'sentence' })
  readonly #buttons = h('div', { class: 'actions' })
  readonly #acked = h('i', { class: 'acked', part: 'bar-acked' })
  readonly #flight = h('i', { class: 'flight', part: 'bar-flight' })
  readonly #bar: HTMLElement
  readonly #more: HTMLButtonElement
  readonly #details = h('div', { class: 'details', hidden: true })
  readonly #mark = icon('file')
  #inside: Details | undefined
  #isLoading = false
  #seen: TaskView | undefined
  #actions = ''

  constructor(task: UploadTask, host: RowHost) {
    this.task = task
    this.#host = host
    const { words } = host
    const folder = task.relativePath?.split('/').slice(0, -1).join('/')
    this.#bar = h(
      'div',
      { class: 'bar', part: 'bar', role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100 },
      this.#flight,
      this.#acked,
    )
    setAttribute(this.#bar, 'aria-label', words.text('aria.bar', { name: task.name }))
    this.#more = button('quiet more', () => host.toggle(task, !this.isOpen), icon('down'))
    setAttribute(this.#more, 'aria-expanded', 'false')
    setAttribute(this.#more, 'aria-label', this.#on('details'))
    this.#more.title = words.text('action.details')
    this.element = h(
      'li',
      { class: 'row', part: 'row' },
      h('span', { class: 'mark' }, this.#mark),
      h(
        'div',
        { class: 'name' },
        h('span', { class: 'file', title: task.relativePath ?? task.name, dir: 'auto' }, ...halves(task.name)),
        folder ? h('span', { class: 'folder', dir: 'auto' }, folder) : null,
      ),
      h('div', { class: 'buttons' }, this.#buttons, this.#more),
      this.#bar,
      h('div', { class: 'facts' }, this.#label, this.#figures, this.#trouble),
      this.#sentence,
      this.#details,
    )
  }

  get isOpen(): boolean {
    return !this.#details.hidden
  }

  /** Shows or hides the pieces and the proof. */
  open(isOpen: boolean): void {
    if (isOpen === this.isOpen) return
    this.#details.hidden = !isOpen
    setAttribute(this.#more, 'aria-expanded', String(isOpen))
    if (isOpen && inside) this.#show(inside)
    else if (isOpen) void this.#load()
    this.#detail()
  }

  #show(kind: typeof Details): void {
    const { after, words } = this.#host
    this.#inside ??= new kind(this.task, words, after)
    if (!this.#inside.element.isConnected) this.#details.replaceChildren(this.#inside.element)
  }

  async #load(): Promise<void> {
    if (this.#isLoading) return
    this.#isLoading = true
    try {
      this.#show(await loadDetails())
      this.#detail()
    } catch (error) {
      console.warn('onward-upload:', error)
      this.#details.replaceChildren(h('p', { class: 'sentence' }, this.#host.words.text('error.part')))
      setTimeout(() => this.isOpen && void this.#load(), LOAD_AGAIN)
    } finally {
      this.#isLoading = false
    }
  }

  /** Says how the upload stands at `now` (of `Date.now()`), in place `position` of `count`. */
  update(now: number, position: number, count: number): void {
    setAttribute(this.element, 'aria-posinset', String(position))
    setAttribute(this.element, 'aria-setsize', String(count))
    const { view } = this.task
    if (view === this.#seen && view.retryAt === undefined) return
    this.#seen = view
    const phrase = phraseOf(view, this.#host.words, now)
    setAttribute(this.element, 'data-state', view.state)
    setAttribute(this.element, 'data-tone', phrase.tone)
    setText(this.#label, phrase.label)
    setText(this.#figures, phrase.figures)
    setText(this.#trouble, phrase.trouble)
    setText(this.#sentence, phrase.sentence)
    setIcon(this.#mark, markOf(phrase))
    this.#progress(view)
    this.#offer(phrase.actions, view)
    this.#detail()
  }

  focus(): void {
    this.#more.focus()
  }

  /** Draws the map anew, as after another width. */
  redraw(): void {
    if (this.isOpen) this.#inside?.draw()
  }

  #detail(): void {
    if (this.isOpen) this.#inside?.update()
  }

  #progress(view: TaskView): void {
    const { words } = this.#host
    const { formats } = words
    const share = shareOf(view)
    const isOpen = view.openEnded === true && view.state !== 'done'
    const { acked, inFlight, total } = view.progress
    const reached = total > 0 ? Math.min(1, (acked + inFlight) / total) : share
    // Green is what has been verified: before the server has begun, all of it is as blue as it came.
    const isUnread = !view.finishing && (view.state === 'verifying' || view.state === 'assembling')
    this.#acked.style.setProperty('transform', `scaleX(${isUnread ? 0 : share})`)
    this.#flight.style.setProperty(
      'transform',
      `scaleX(${isOpen ? 1 : view.finishing ? share : Math.max(share, reached)})`,
    )
    this.#bar.classList.toggle('open', isOpen)
    // Without a value it is a bar whose end nobody knows.
    setAttribute(this.#bar, 'aria-valuenow', isOpen ? null : String(Math.floor(share * 100)))
    const said = { percent: formats.percent(share), done: formats.bytes(acked), size: formats.bytes(view.size) }
    setAttribute(this.#bar, 'aria-valuetext', isOpen ? said.done : words.text('aria.barValue', said))
  }

  #offer(actions: readonly Action[], view: TaskView): void {
    const url = view.state === 'done' ? (view.result?.url ?? '') : ''
    const key = `${actions.join()} ${url}`
    if (key === this.#actions) return
    this.#actions = key
    const focused = (this.#buttons.getRootNode() as ShadowRoot).activeElement
    const hadFocus = focused !== null && this.#buttons.contains(focused)
    // What stays is the same element: a click is lost on one that is put in the place of another meanwhile.
    const kept = new Map(
      [...this.#buttons.children].map((one) => [one.getAttribute('data-action'), one as HTMLElement]),
    )
    const made: HTMLElement[] = actions.map((action) => kept.get(action) ?? this.#button(action))
    if (url) made.unshift(this.#download(url))
    for (const old of kept.values()) if (!made.includes(old)) old.remove()
    for (const [at, one] of made.entries()) {
      const place = this.#buttons.children[at] ?? null
      if (place !== one) this.#buttons.insertBefore(one, place)
    }
    if (hadFocus && !this.#buttons.contains(focused)) (made[0] ?? this.#more).focus()
  }

  #download(url: string): HTMLAnchorElement {
    const link = h('a', { class: 'quiet', href: url, download: '' }, icon('save'))
    link.title = this.#host.words.text('action.download')
    setAttribute(link, 'aria-label', this.#on('download'))
    return link
  }

  #button(action: Action): HTMLButtonElement {
    const { words } = this.#host
    const label = h('span', {}, words.text(`action.${action}`))
    const run = () => {
      const isGrave = action === 'cancel' && this.task.progress.acked > 0
      if (isGrave && !made.classList.contains('sure')) this.#askAgain(made)
      else this.#host.act(this.task, action)
    }
    const made = button('quiet', run, icon(ICONS[action]), NAMED.has(action) && label)
    setAttribute(made, 'data-action', action)
    made.title = words.text(`action.${action}`)
    setAttribute(made, 'aria-label', this.#on(action))
    return made
  }

  /** What is stored is lost by "cancel", so it takes a second click. */
  #askAgain(asked: HTMLButtonElement): void {
    const { words } = this.#host
    const label = h('span', {}, words.text('action.sure'))
    asked.classList.add('sure')
    asked.append(label)
    setAttribute(asked, 'aria-label', this.#on('sure'))
    setTimeout(() => {
      label.remove()
      asked.classList.remove('sure')
      setAttribute(asked, 'aria-label', this.#on('cancel'))
    }, SURE)
  }

  #on(action: string): string {
    const { words } = this.#host
    return words.text('action.on', { action: words.text(`action.${action}`), name: this.task.name })
  }
}

function markOf(phrase: Phrase): IconName {
  if (phrase.tone === 'done') return 'check'
  if (phrase.tone === 'fail' || phrase.tone === 'ask') return 'alert'
  return phrase.tone === 'wait' ? 'clock' : 'file'
}

/** A name in two pieces, so that a narrow row cuts its middle and keeps its end. */
function halves(name: string): [HTMLElement, HTMLElement] {
  let cut = name.length > 16 ? name.length - 9 : name.length
  // Letters of some scripts are joined, and an emoji is several units: these are not torn apart.
  while (cut < name.length && name.charCodeAt(cut) > 0x7e) cut += 1
  return [h('span', { class: 'head' }, name.slice(0, cut)), h('span', { class: 'tail' }, name.slice(cut))]
}
