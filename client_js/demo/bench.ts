/** The fault bench: makes the server misbehave. Only a server that was started for shows has it. */

import { h, setText } from '../src/ui/dom.js'
import type { Words } from '../src/ui/i18n/index.js'

interface BenchView {
  readonly fail: number
  readonly delay_ms: number
  readonly drop: number
  readonly cut_seconds: number
  readonly failed: number
  readonly dropped: number
}

const NONE = { fail: 0, drop: 0, delay_ms: 0, cut_seconds: 0 }
const CUT = 10
const LOOK = 1000

export class Bench {
  readonly element: HTMLElement
  readonly #words: Words
  readonly #fail: Slider
  readonly #drop: Slider
  readonly #delay: Slider
  readonly #cut: HTMLButtonElement
  readonly #mend: HTMLButtonElement
  readonly #said = h('p', { class: 'small', role: 'status' })
  #until = 0
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(words: Words) {
    this.#words = words
    const { formats } = words
    const percent = (value: number) => formats.percent(value / 100)
    const set = () => void this.#send()
    this.#fail = new Slider(words.text('bench.fail'), 50, 5, percent, set)
    this.#drop = new Slider(words.text('bench.drop'), 50, 5, percent, set)
    this.#delay = new Slider(words.text('bench.delay'), 2000, 100, (value) => words.text('bench.ms', { n: value }), set)
    this.#cut = h('button', { type: 'button', class: 'button' }, words.text('bench.cut'))
    this.#cut.addEventListener('click', () => {
      this.#until = Date.now() + CUT * 1000
      void this.#send()
    })
    this.#mend = h('button', { type: 'button', class: 'button', hidden: true }, words.text('bench.reset'))
    this.#mend.addEventListener('click', () => this.#reset())
    this.element = h(
      'section',
      { class: 'card bench', 'aria-labelledby': 'bench-title' },
      h('h2', { id: 'bench-title' }, words.text('bench.title')),
      h('p', { class: 'small' }, words.text('bench.text')),
      this.#fail.element,
      this.#drop.element,
      this.#delay.element,
      h('div', { class: 'buttons' }, this.#cut, this.#mend),
      this.#said,
    )
  }

  /** Shows what is set on the server, and follows it. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#look(), LOOK)
    await this.#look()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #reset(): void {
    for (const slider of [this.#fail, this.#drop, this.#delay]) slider.value = 0
    this.#until = 0
    void this.#send()
  }

  async #look(): Promise<void> {
    if (document.hidden) return
    await this.#talk({ method: 'GET' })
  }

  async #send(): Promise<void> {
    const faults = {
      ...NONE,
      fail: this.#fail.value / 100,
      drop: this.#drop.value / 100,
      delay_ms: this.#delay.value,
      cut_seconds: Math.max(0, (this.#until - Date.now()) / 1000),
    }
    const headers = { 'Content-Type': 'application/json' }
    await this.#talk({ method: 'PUT', headers, body: JSON.stringify(faults) })
  }

  async #talk(request: RequestInit): Promise<void> {
    try {
      const response = await fetch('faults', { ...request, cache: 'no-store' })
      if (!response.ok) throw new Error(`status ${response.status}`)
      this.#show((await response.json()) as BenchView)
    } catch (error) {
      // While the line is cut, this does not come through either; the next look does.
      if (request.method !== 'PUT') return
      console.warn('the faults could not be set', error)
      setText(this.#said, this.#words.text('bench.failed'))
    }
  }

  #show(view: BenchView): void {
    const words = this.#words
    this.#fail.value = Math.round(view.fail * 100)
    this.#drop.value = Math.round(view.drop * 100)
    this.#delay.value = view.delay_ms
    const left = Math.ceil(view.cut_seconds)
    this.#until = Date.now() + view.cut_seconds * 1000
    this.#mend.hidden = view.fail + view.drop + view.delay_ms + view.cut_seconds === 0
    this.#cut.disabled = left > 0
    setText(this.#cut, left > 0 ? words.text('bench.cutting', { n: left }) : words.text('bench.cut'))
    const { dropped, failed } = view
    setText(this.#said, failed + dropped > 0 ? words.text('bench.so', { failed, dropped }) : '')
  }
}

class Slider {
  readonly element: HTMLElement
  readonly #input: HTMLInputElement
  readonly #output = h('output')
  readonly #say: (value: number) => string

  constructor(label: string, most: number, step: number, say: (value: number) => string, onChange: () => void) {
    this.#say = say
    this.#input = h('input', { type: 'range', min: 0, max: most, step, value: 0 })
    this.#input.addEventListener('input', () => this.#show())
    this.#input.addEventListener('change', onChange)
    this.element = h('label', { class: 'slider' }, h('span', {}, label), this.#output, this.#input)
    this.#show()
  }

  get value(): number {
    return Number(this.#input.value)
  }

  /** Not moved while somebody has it in hand. */
  set value(value: number) {
    if (this.#input.matches(':active')) return
    this.#input.value = String(value)
    this.#show()
  }

  #show(): void {
    setText(this.#output, this.#say(this.value))
    this.#input.setAttribute('aria-valuetext', this.#say(this.value))
  }
}
