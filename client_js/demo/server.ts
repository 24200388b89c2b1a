/** The operator's view: all uploads of the server, live, for who has its token. */

import { h, icon, setAttribute, setText } from '../src/ui/dom.js'
import type { Words } from '../src/ui/i18n/index.js'
import type { PageConfig } from './config.js'
import { type Entry, Everyone, type UploadRow } from './everyone.js'
import { follow } from './stream.js'

const KEPT = 'onward-token'
const SHOWN = 200
/** Milliseconds in which a second click must come. */
const SURE = 4000
const OPEN: ReadonlySet<string> = new Set(['receiving', 'assembling', 'verifying'])
const TONES: Readonly<Record<string, string>> = { done: 'done', failed: 'fail', expired: 'calm', cancelled: 'calm' }

export class ServerView {
  readonly element = h('div', { class: 'server' })
  readonly #config: PageConfig
  readonly #words: Words
  readonly #everyone = new Everyone()
  readonly #rows = new Map<string, EntryRow>()
  readonly #count = h('p', { class: 'count' })
  readonly #live = h('p', { class: 'pill', role: 'status' })
  readonly #list = h('ul', { class: 'entries' })
  #token = sessionStorage.getItem(KEPT) ?? ''
  #off: AbortController | undefined
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(config: PageConfig, words: Words) {
    this.#config = config
    this.#words = words
  }

  /** Asks for the list and follows the events, until `close`. */
  async open(): Promise<void> {
    this.close()
    const off = new AbortController()
    this.#off = off
    const response = await fetch(`${this.#config.uploads}?limit=${SHOWN}`, {
      headers: this.#headers(),
      cache: 'no-store',
      signal: off.signal,
    }).catch(() => null)
    if (off.signal.aborted) return
    if (response?.status === 401 || response?.status === 403) {
      this.#ask()
      return
    }
    if (!response?.ok) {
      const said = this.#words.text('server.error', { status: String(response?.status ?? '–') })
      this.element.replaceChildren(h('p', { class: 'card', role: 'alert' }, said))
      return
    }
    const page = (await response.json()) as { uploads: UploadRow[] }
    this.#everyone.fill(page.uploads, Date.now())
    this.#frame()
    this.#timer = setInterval(() => this.#render(), 1000)
    this.#render()
    await follow(this.#config.events, {
      headers: () => this.#headers(),
      signal: off.signal,
      onLive: (isLive) => this.#isLive(isLive),
      onEvent: (name, data) => this.#everyone.take(name, data, Date.now()),
    })
  }

  /** Leaves the stream, so that its connection is free for uploads. */
  close(): void {
    this.#off?.abort()
    clearInterval(this.#timer)
  }

  #headers(): Record<string, string> {
    return this.#token ? { Authorization: `Bearer ${this.#token}` } : {}
  }

  #frame(): void {
    const forget = h('button', { type: 'button', class: 'button plain' }, this.#words.text('server.forget'))
    forget.hidden = !this.#token
    forget.addEventListener('click', () => {
      this.#token = ''
      sessionStorage.removeItem(KEPT)
      void this.open()
    })
    this.element.replaceChildren(h('div', { class: 'bar-line' }, this.#count, this.#live, forget), this.#list)
  }

  /** The list is everybody's, so whoever asks must be the operator. */
  #ask(): void {
    const words = this.#words
    const wasWrong = this.#token !== ''
    const input = h('input', { type: 'password', id: 'token', autocomplete: 'current-password', required: true })
    const wrong = h('p', { class: 'wrong', role: 'alert' }, wasWrong ? words.text('server.wrong') : '')
    const form = h(
      'form',
      { class: 'card token' },
      h('p', {}, words.text('server.why')),
      h('label', { for: 'token' }, words.text('server.token')),
      h('div', { class: 'buttons' }, input, h('button', { class: 'button main' }, words.text('server.open'))),
      wrong,
    )
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#token = input.value
      sessionStorage.setItem(KEPT, input.value)
      void this.open()
    })
    this.element.replaceChildren(form)
    if (wasWrong) input.focus()
  }

  #isLive(isLive: boolean): void {
    setAttribute(this.#live, 'data-state', isLive ? 'online' : 'waiting')
    const text = this.#words.text(isLive ? 'server.live' : 'server.away')
    if (this.#live.textContent !== text) this.#live.replaceChildren(h('i', { 'aria-hidden': 'true' }), text)
    this.#render()
  }

  #render(): void {
    const now = Date.now()
    this.#everyone.settle(now)
    const entries = this.#everyone.list().slice(0, SHOWN)
    const words = this.#words
    const more = this.#everyone.count > SHOWN ? ` ${words.text('server.more', { n: SHOWN })}` : ''
    setText(
      this.#count,
      entries.length > 0 ? words.count('server.count', this.#everyone.count) + more : words.text('server.none'),
    )
    const ids = new Set(entries.map((entry) => entry.id))
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue
      row.element.remove()
      this.#rows.delete(id)
    }
    let previous: Element | null = null
    for (const entry of entries) {
      let row = this.#rows.get(entry.id)
      if (!row) {
        row = new EntryRow(words, () => void this.#abort(entry.id))
        this.#rows.set(entry.id, row)
      }
      const place: Element | null = previous ? previous.nextElementSibling : this.#list.firstElementChild
      if (place !== row.element) this.#list.insertBefore(row.element, place)
      row.update(entry, now)
      previous = row.element
    }
  }

  async #abort(id: string): Promise<void> {
    const url = `${this.#config.endpoint}/${encodeURIComponent(id)}`
    const response = await fetch(url, { method: 'DELETE', headers: this.#headers() }).catch(() => null)
    if (response?.ok) this.#everyone.take('removed', { id, state: 'cancelled' }, Date.now())
    this.#render()
  }
}

class EntryRow {
  readonly element: HTMLLIElement
  readonly #words: Words
  readonly #name = h('span', { class: 'entry-name', dir: 'auto' })
  readonly #state = h('span', { class: 'entry-state' })
  readonly #facts = h('span', { class: 'entry-facts' })
  readonly #when = h('span', { class: 'entry-when' })
  readonly #fill = h('i')
  readonly #bar: HTMLElement
  readonly #abort: HTMLButtonElement
  #sure = false

  constructor(words: Words, onAbort: () => void) {
    this.#words = words
    this.#bar = h(
      'div',
      { class: 'entry-bar', role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100 },
      this.#fill,
    )
    this.#abort = h('button', { type: 'button', class: 'button plain' }, icon('close'))
    this.#abort.addEventListener('click', () => {
      if (this.#sure) onAbort()
      else this.#askAgain()
    })
    this.element = h('li', { class: 'entry' }, this.#name, this.#state, this.#bar, this.#facts, this.#when, this.#abort)
  }

  /** It may be somebody else's work, so it takes a second click. */
  #askAgain(): void {
    const said = h('span', {}, this.#words.text('action.sure'))
    this.#sure = true
    this.#abort.append(said)
    setTimeout(() => {
      this.#sure = false
      said.remove()
    }, SURE)
  }

  update(entry: Entry, now: number): void {
    const { formats } = this.#words
    const name = entry.name ?? this.#words.text('server.noname')
    setText(this.#name, entry.owner ? `${name} · ${entry.owner}` : name)
    this.#name.title = entry.id
    setText(
      this.#state,
      this.#words.text(`word.${entry.state}`) +
        (entry.reason && entry.reason !== entry.state ? ` · ${entry.reason}` : ''),
    )
    setAttribute(this.element, 'data-tone', TONES[entry.state] ?? 'active')
    setAttribute(this.element, 'data-state', entry.state)
    const share = shareOf(entry)
    this.#fill.style.setProperty('transform', `scaleX(${share})`)
    setAttribute(this.#bar, 'aria-label', this.#words.text('aria.bar', { name }))
    setAttribute(this.#bar, 'aria-valuenow', String(Math.floor(share * 100)))
    const done = formats.bytes(entry.received)
    const size = entry.length === null ? '' : formats.bytes(entry.length)
    const facts = size && entry.state !== 'done' ? this.#words.text('say.of', { done, size }) : done
    setText(this.#facts, entry.rate > 0 ? `${facts} · ${formats.speed(entry.rate)}` : facts)
    setText(this.#when, ago(now / 1000 - entry.active_at, this.#words.lang))
    this.#abort.hidden = !OPEN.has(entry.state)
    const action = this.#words.text(this.#sure ? 'action.sure' : 'server.abort')
    const label = this.#words.text('action.on', { action, name })
    setAttribute(this.#abort, 'aria-label', label)
    this.#abort.title = this.#words.text('server.abort')
  }
}

function shareOf(entry: Entry): number {
  if (entry.state === 'done') return 1
  const total = entry.length ?? 0
  const done = entry.done ?? entry.received
  return total > 0 ? Math.min(1, done / total) : 0
}

/** `2 minutes ago`. */
function ago(seconds: number, lang: string): string {
  const said = new Intl.RelativeTimeFormat(lang, { numeric: 'auto', style: 'short' })
  if (seconds < 5) return said.format(0, 'second')
  if (seconds < 60) return said.format(-Math.floor(seconds / 5) * 5, 'second')
  if (seconds < 3600) return said.format(-Math.floor(seconds / 60), 'minute')
  if (seconds < 86_400) return said.format(-Math.floor(seconds / 3600), 'hour')
  return said.format(-Math.floor(seconds / 86_400), 'day')
}
