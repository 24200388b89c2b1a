/** The operator's view: all uploads of the server, live, for who has its token. */

import { h, setAttribute, setText } from '../src/ui/dom.js'
import type { Words } from '../src/ui/i18n/index.js'
import type { PageConfig } from './config.js'
import { EntryRow } from './entry.js'
import { Everyone, FILTERS, type Filter, type Room, STATES, type UploadRow } from './everyone.js'
import { follow } from './stream.js'

const KEPT = 'onward-token'
/** Rows that are asked for at a time: as many as the server gives with maps. */
const PAGE = 50
/** Sealed uploads that the server counts; so many may be more. */
const MOST_WAITING = 1000

interface PageOfRows {
  readonly uploads: readonly UploadRow[]
  readonly next: string | null
  readonly server: Room | null
}

export class ServerView {
  readonly element = h('div', { class: 'server' })
  readonly #config: PageConfig
  readonly #words: Words
  readonly #everyone = new Everyone()
  readonly #rows = new Map<string, EntryRow>()
  readonly #count = h('p', { class: 'count' })
  readonly #live = h('p', { class: 'pill' })
  /** What a screen reader is told: what was asked for is there, or the stream has come or gone; not each upload. */
  readonly #said = h('p', { class: 'unseen', role: 'status' })
  readonly #facts = h('dl', { class: 'facts' })
  readonly #list = h('ul', { class: 'entries' })
  readonly #wrong = h('p', { class: 'wrong', role: 'alert' })
  readonly #chips = new Map<Filter, HTMLButtonElement>()
  readonly #search: HTMLInputElement
  readonly #older: HTMLButtonElement
  /** The place of the next page of each filter; null where there is none. */
  readonly #next = new Map<Filter, string | null>()
  #filter: Filter = 'all'
  #token = sessionStorage.getItem(KEPT) ?? ''
  #off: AbortController | undefined
  #timer: ReturnType<typeof setInterval> | undefined
  #isLive = false
  #againAt = 0

  constructor(config: PageConfig, words: Words) {
    this.#config = config
    this.#words = words
    for (const filter of FILTERS) {
      const chip = h('button', { type: 'button', class: 'chip' }, words.text(`server.filter.${filter}`))
      chip.addEventListener('click', () => void this.#choose(filter))
      this.#chips.set(filter, chip)
    }
    const label = words.text('server.search')
    this.#search = h('input', { type: 'search', 'aria-label': label, placeholder: label, autocomplete: 'off' })
    this.#search.addEventListener('input', () => this.#render())
    this.#search.addEventListener('change', () => this.#tell())
    this.#older = h('button', { type: 'button', class: 'button older', hidden: true }, words.text('server.older'))
    this.#older.addEventListener('click', () => void this.#more())
  }

  /** Asks for the list and follows the events, until `close`. */
  async open(): Promise<void> {
    this.close()
    const off = new AbortController()
    this.#off = off
    if (!(await this.#fetch(this.#filter, ''))) return
    this.#frame()
    this.#timer = setInterval(() => this.#render(), 1000)
    this.#render()
    await follow(this.#config.events, {
      headers: () => this.#headers(),
      signal: off.signal,
      onLive: (isLive, againAt) => {
        this.#isLive = isLive
        this.#againAt = againAt ?? 0
        this.#render()
        setText(this.#said, this.#words.text(isLive ? 'server.live' : 'server.away'))
      },
      onEvent: (name, data) => this.#everyone.take(name, data, Date.now()),
    })
    // Left before it was told to: the token holds no longer.
    if (!off.signal.aborted) this.#ask()
  }

  /** Leaves the stream, so that its connection is free for uploads. */
  close(): void {
    this.#off?.abort()
    clearInterval(this.#timer)
  }

  /** Takes one page of a filter. False if it did not come; then that has been said. */
  async #fetch(filter: Filter, after: string): Promise<boolean> {
    const signal = this.#off?.signal
    const query = new URLSearchParams({ limit: String(PAGE), map: 'true' })
    if (after) query.set('after', after)
    if (STATES[filter].length > 0) query.set('state', STATES[filter].join())
    const request = { headers: this.#headers(), cache: 'no-store', signal } as const
    const response = await fetch(`${this.#config.uploads}?${query}`, request).catch(() => null)
    if (signal?.aborted) return false
    if (response?.status === 401 || response?.status === 403) {
      this.close()
      this.#ask()
      return false
    }
    if (!response?.ok) {
      const said = this.#words.text('server.error', { status: String(response?.status ?? '–') })
      if (this.#list.isConnected) setText(this.#wrong, said)
      else this.element.replaceChildren(h('p', { class: 'card', role: 'alert' }, said))
      return false
    }
    const page = (await response.json()) as PageOfRows
    setText(this.#wrong, '')
    this.#everyone.fill(page.uploads, Date.now())
    this.#everyone.room = page.server ?? this.#everyone.room
    this.#next.set(filter, page.next)
    return true
  }

  async #choose(filter: Filter): Promise<void> {
    this.#filter = filter
    this.#render()
    if (!this.#next.has(filter) && (await this.#fetch(filter, ''))) this.#render()
    this.#tell()
  }

  #tell(): void {
    setText(this.#said, this.#count.textContent ?? '')
  }

  async #more(): Promise<void> {
    const after = this.#next.get(this.#filter)
    this.#older.disabled = true
    if (after && (await this.#fetch(this.#filter, after))) this.#render()
    this.#older.disabled = false
    this.#tell()
  }

  #headers(): Record<string, string> {
    return this.#token ? { Authorization: `Bearer ${this.#token}` } : {}
  }

  #frame(): void {
    const words = this.#words
    const forget = h('button', { type: 'button', class: 'button plain' }, words.text('server.forget'))
    forget.hidden = !this.#token
    forget.addEventListener('click', () => {
      this.#token = ''
      sessionStorage.removeItem(KEPT)
      void this.open()
    })
    const chips = h('div', { class: 'chips', role: 'group', 'aria-label': words.text('filter.label') })
    chips.append(...this.#chips.values())
    this.element.replaceChildren(
      this.#facts,
      h('div', { class: 'bar-line' }, chips, this.#search),
      h('div', { class: 'bar-line' }, this.#count, this.#live, forget),
      this.#said,
      this.#wrong,
      this.#list,
      this.#older,
    )
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

  #render(): void {
    if (!this.#list.isConnected) return
    const now = Date.now()
    const words = this.#words
    this.#everyone.settle(now)
    const entries = this.#everyone.list(this.#filter, this.#search.value)
    const next = this.#next.get(this.#filter) ?? null
    setText(this.#count, this.#counted(entries.length, next !== null))
    this.#older.hidden = next === null
    for (const [filter, chip] of this.#chips) setAttribute(chip, 'aria-pressed', String(filter === this.#filter))
    this.#pill(now)
    this.#stand()
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

  #counted(n: number, hasMore: boolean): string {
    const words = this.#words
    if (n > 0) return words.count(hasMore ? 'server.newest' : 'server.count', n)
    const isNarrowed = this.#filter !== 'all' || this.#search.value.trim() !== ''
    return words.text(isNarrowed ? 'server.noneSuch' : 'server.none')
  }

  /** Whether what is shown is what is so. */
  #pill(now: number): void {
    const words = this.#words
    setAttribute(this.#live, 'data-state', this.#isLive ? 'online' : 'waiting')
    const wait = (this.#againAt - now) / 1000
    const away =
      wait > 0 ? words.text('net.retryIn', { time: words.formats.duration(wait) }) : words.text('server.away')
    const text = this.#isLive ? words.text('server.live') : away
    if (this.#live.textContent !== text) this.#live.replaceChildren(h('i', { 'aria-hidden': 'true' }), text)
  }

  /** How the server stands as a whole. */
  #stand(): void {
    const { room, rate } = this.#everyone
    const words = this.#words
    const { formats } = words
    if (!room) return
    const waiting = formats.number(room.waiting) + (room.waiting >= MOST_WAITING ? '+' : '')
    const said: [string, string][] = [
      ['server.free', room.free === null ? '–' : formats.bytes(Math.max(0, room.free - room.floor))],
      ['server.promised', formats.bytes(room.promised)],
      ['server.waiting', waiting],
      ['server.rate', formats.speed(rate)],
    ]
    if (this.#facts.childElementCount === 0) {
      this.#facts.append(...said.map(([key]) => h('div', {}, h('dt', {}, words.text(key)), h('dd'))))
    }
    for (const [at, [, text]] of said.entries()) setText(this.#facts.querySelectorAll('dd')[at] as HTMLElement, text)
  }

  async #abort(id: string): Promise<void> {
    const url = `${this.#config.endpoint}/${encodeURIComponent(id)}`
    const response = await fetch(url, { method: 'DELETE', headers: this.#headers() }).catch(() => null)
    if (response?.ok) this.#everyone.take('removed', { id, state: 'cancelled' }, Date.now())
    setText(
      this.#wrong,
      response?.ok ? '' : this.#words.text('server.notAborted', { status: String(response?.status ?? '–') }),
    )
    this.#render()
  }
}
