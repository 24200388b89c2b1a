/** One upload in the operator's list. Made once, then only what has changed is touched. */

import { h, icon, setAttribute, setText } from '../src/ui/dom.js'
import type { Words } from '../src/ui/i18n/index.js'
import type { Entry } from './everyone.js'

/** Milliseconds in which a second click must come. */
const SURE = 4000
const OPEN: ReadonlySet<string> = new Set(['receiving', 'assembling', 'verifying'])
const TONES: Readonly<Record<string, string>> = { done: 'done', failed: 'fail', expired: 'calm', cancelled: 'calm' }

export class EntryRow {
  readonly element: HTMLLIElement
  readonly #words: Words
  readonly #name = h('span', { class: 'entry-name', dir: 'auto' })
  readonly #owner = h('span', { class: 'entry-small', dir: 'auto' })
  readonly #state = h('span', { class: 'entry-state' })
  readonly #reason = h('span', { class: 'entry-small' })
  readonly #facts = h('span', { class: 'entry-small' })
  readonly #when = h('span', { class: 'entry-small' })
  readonly #until = h('span', { class: 'entry-small' })
  readonly #fill = h('i')
  readonly #bar: HTMLElement
  readonly #abort: HTMLButtonElement
  readonly #sure = h('span', { hidden: true })
  #said = ''

  constructor(words: Words, onAbort: () => void) {
    this.#words = words
    const range = { role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100 }
    this.#bar = h('div', { class: 'entry-bar', ...range }, this.#fill)
    this.#sure.textContent = words.text('action.sure')
    this.#abort = h('button', { type: 'button', class: 'button plain' }, icon('close'), this.#sure)
    this.#abort.title = words.text('server.abort')
    this.#abort.addEventListener('click', () => {
      if (this.#sure.hidden) this.#askAgain()
      else onAbort()
    })
    const column = (kind: string, ...children: HTMLElement[]) => h('div', { class: `entry-${kind}` }, ...children)
    this.element = h(
      'li',
      { class: 'entry' },
      column('what', this.#name, this.#owner),
      column('how', this.#state, this.#reason),
      column('far', this.#bar, this.#facts),
      column('time', this.#when, this.#until),
      this.#abort,
    )
  }

  /** It may be somebody else's work, so it takes a second click. */
  #askAgain(): void {
    this.#sure.hidden = false
    this.#label()
    setTimeout(() => {
      this.#sure.hidden = true
      this.#label()
    }, SURE)
  }

  #label(): void {
    const action = this.#words.text(this.#sure.hidden ? 'server.abort' : 'action.sure')
    setAttribute(this.#abort, 'aria-label', this.#words.text('action.on', { action, name: this.#said }))
  }

  /** `now` in milliseconds. */
  update(entry: Entry, now: number): void {
    const words = this.#words
    this.#said = entry.name ?? words.text('server.noname')
    setText(this.#name, this.#said)
    setAttribute(this.#name, 'title', `${this.#said}\n${entry.id}`)
    setText(this.#owner, entry.owner ?? '')
    setText(this.#state, words.text(`word.${entry.state}`))
    setText(this.#reason, entry.reason && entry.reason !== entry.state ? entry.reason : '')
    setAttribute(this.element, 'data-tone', TONES[entry.state] ?? 'active')
    setAttribute(this.element, 'data-state', entry.state)
    const share = shareOf(entry)
    this.#bar.style.setProperty('--map', entry.map ? gradientOf(entry.map) : 'none')
    this.#fill.style.setProperty('transform', `scaleX(${entry.map ? 0 : share})`)
    setAttribute(this.#bar, 'aria-label', words.text('aria.bar', { name: this.#said }))
    setAttribute(this.#bar, 'aria-valuenow', String(Math.floor(share * 100)))
    setText(this.#facts, factsOf(entry, words))
    setText(this.#when, ago(now / 1000 - entry.active_at, words.lang))
    const left = entry.expires_at === null ? 0 : entry.expires_at - now / 1000
    setText(this.#until, left > 0 ? words.text('server.expires', { time: words.formats.duration(left) }) : '')
    this.#abort.hidden = !OPEN.has(entry.state)
    this.#label()
  }
}

function shareOf(entry: Entry): number {
  if (entry.state === 'done') return 1
  const total = entry.length ?? 0
  // Of one that is all there, only what the worker has behind it counts.
  const done = entry.state === 'receiving' ? entry.received : (entry.done ?? 0)
  return total > 0 ? Math.min(1, done / total) : 0
}

/** `8 MB of 25 MB · 3 MB/s`; of what has ended, what lies on the disk. */
function factsOf(entry: Entry, words: Words): string {
  const { formats } = words
  if (!OPEN.has(entry.state)) return formats.bytes(entry.kept)
  const done = formats.bytes(entry.received)
  const said = [entry.length === null ? done : words.text('say.of', { done, size: formats.bytes(entry.length) })]
  if (entry.rate > 0) said.push(formats.speed(entry.rate))
  return said.join(' · ')
}

/** The parts of an upload as stripes: full ones in the colour of the row, half full ones paler. */
export function gradientOf(map: string): string {
  const stops: string[] = []
  for (let at = 0; at < map.length; ) {
    const digit = map[at] as string
    let end = at
    while (map[end] === digit) end += 1
    const share = digit === '0' ? 0 : 20 + Math.round((Number(digit) / 9) * 80)
    const place = (cell: number) => `${((cell / map.length) * 100).toFixed(2)}%`
    stops.push(`color-mix(in srgb, var(--tone) ${share}%, transparent) ${place(at)} ${place(end)}`)
    at = end
  }
  return `linear-gradient(90deg, ${stops.join(', ')})`
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
