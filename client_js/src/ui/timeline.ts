/** The requests of an upload over time: a track for each lane, and how fast it went; on canvases, and in words. */

import type { UploadTask } from '../core/types.js'
import { h, setAttribute, setText } from './dom.js'
import type { Words } from './i18n/index.js'
import { blank, type Colours, Palette } from './palette.js'
import { type Bar, barText, paceOf, peakOf, type Times, timesOf, timesText } from './times.js'

/** Pixels of a track, of the bar within it, of the room for its number, of the curve of the speed. */
const TRACK = 14
const BAR = 9
const MARGIN = 16
const CURVE = 44
/** Pixels for each point of the curve. */
const STEP = 6

/**
 * Shows when each request of one upload began and ended; call `update` when it has moved on.
 *
 * Under the pointer and with the arrow keys single requests are described.
 */
export class Timeline {
  readonly element: HTMLElement
  readonly #task: UploadTask
  readonly #words: Words
  readonly #canvas: HTMLCanvasElement
  readonly #palette = new Palette()
  readonly #most = h('span')
  readonly #begin = h('span')
  readonly #end = h('span')
  readonly #summary = h('p', { class: 'map-summary' })
  readonly #detail: HTMLElement
  readonly #legend = new Map<Bar['kind'], HTMLElement>()
  #times: Times = timesOf([], [], 0)
  /** The bar that is described, by what no other has in common with it: its lane and its beginning. */
  #chosen = ''

  constructor(task: UploadTask, words: Words) {
    this.#task = task
    this.#words = words
    this.#canvas = h('canvas', {
      class: 'tracks',
      part: 'timeline',
      tabindex: 0,
      role: 'slider',
      'aria-label': words.text('time.label', { name: task.name }),
      'aria-valuemin': 0,
      'aria-valuenow': 0,
    })
    this.#detail = h('p', { class: 'map-detail' }, words.text('time.hint'))
    const legend = h('ul', { class: 'legend', 'aria-hidden': 'true' })
    for (const kind of ['stored', 'flying', 'failed', 'stopped'] as const) {
      const item = h('li', {}, h('i', { class: `swatch bar-${kind}` }), words.text(`time.kind.${kind}`))
      this.#legend.set(kind, item)
      legend.append(item)
    }
    this.element = h(
      'div',
      { class: 'map times' },
      h('div', { class: 'map-head' }, h('b', {}, words.text('time.title')), legend),
      this.#canvas,
      h('div', { class: 'axis', 'aria-hidden': 'true' }, this.#begin, this.#most, this.#end),
      this.#summary,
      this.#detail,
      this.#palette.element,
    )
    this.#canvas.addEventListener('keydown', this.#onKey)
    this.#canvas.addEventListener('pointermove', this.#onPointer)
    this.#canvas.addEventListener('pointerleave', () => this.#choose(''))
    this.#canvas.addEventListener('blur', () => this.#choose(''))
  }

  /** Reads the upload again and draws what has changed. */
  update(): void {
    const { history, lanes } = this.#task
    this.#times = timesOf(history, lanes, Date.now())
    const { bars, from, to } = this.#times
    const { formats } = this.#words
    setText(this.#summary, timesText(this.#times, this.#words))
    setText(this.#begin, this.#words.text('time.before', { time: formats.duration((to - from) / 1000) }))
    setText(this.#end, this.#words.text(lanes.length > 0 ? 'time.now' : 'time.end'))
    const seen = new Set(bars.map((bar) => bar.kind))
    for (const [kind, item] of this.#legend) item.hidden = !seen.has(kind)
    this.#describe()
    this.draw()
  }

  /** Draws anew, as after another width or other colours. */
  draw(): void {
    const width = this.#canvas.clientWidth
    const context = blank(this.#canvas, width, this.#times.lanes * TRACK + CURVE + 8)
    if (!context) return
    const colours = this.#palette.read()
    this.#tracks(context, colours, width)
    this.#curve(context, colours, width)
  }

  #tracks(context: CanvasRenderingContext2D, colours: Colours, width: number): void {
    context.font = `11px ${getComputedStyle(this.#canvas).fontFamily}`
    context.textBaseline = 'middle'
    for (let lane = 0; lane < this.#times.lanes; lane += 1) {
      const y = lane * TRACK
      context.fillStyle = colours.muted
      context.fillText(String(lane + 1), 1, y + TRACK / 2)
      context.fillStyle = colours.line
      context.fillRect(MARGIN, y + TRACK / 2 - 0.5, width - MARGIN, 1)
    }
    for (const bar of this.#times.bars) {
      const [x, y, long] = this.#place(bar, width)
      const isHollow = bar.kind === 'flying' || bar.kind === 'stopped'
      const colour = bar.kind === 'failed' || bar.kind === 'stopped' ? colours[bar.kind] : colours.lane(bar.lane)
      context.fillStyle = colour
      context.strokeStyle = colour
      // What is not stored yet, or never was, is an outline filled as far as it has come: no colour is needed to tell.
      context.globalAlpha = isHollow ? 0.35 : 1
      context.beginPath()
      context.roundRect(x, y, long, BAR, Math.min(2.5, long / 2))
      context.fill()
      context.globalAlpha = 1
      context.lineWidth = 1
      if (isHollow && long > 3) context.strokeRect(x + 0.5, y + 0.5, long - 1, BAR - 1)
      if (keyOf(bar) === this.#chosen) {
        context.strokeStyle = getComputedStyle(this.#canvas).color
        context.lineWidth = 2
        context.strokeRect(x - 1, y - 1, long + 2, BAR + 2)
      }
    }
  }

  /** What the server has taken in each moment, and on top of it, pale, what is on its way. */
  #curve(context: CanvasRenderingContext2D, colours: Colours, width: number): void {
    const top = this.#times.lanes * TRACK + 8
    const bins = Math.max(8, Math.floor((width - MARGIN) / STEP))
    const { stored, flying } = paceOf(this.#times, bins)
    const sums = stored.map((bytes, at) => bytes + (flying[at] ?? 0))
    const most = Math.max(...sums)
    const peak = this.#words.formats.speed(peakOf(this.#times, bins))
    setText(this.#most, most > 0 ? this.#words.text('time.most', { speed: peak }) : '')
    context.fillStyle = colours.line
    context.fillRect(MARGIN, top + CURVE - 1, width - MARGIN, 1)
    if (most <= 0) return
    const step = (width - MARGIN) / bins
    const area = (values: readonly number[], colour: string) => {
      context.fillStyle = colour
      context.beginPath()
      for (const [at, value] of values.entries()) {
        const tall = value > 0 ? Math.max(1, (value / most) * (CURVE - 2)) : 0
        context.rect(MARGIN + at * step, top + CURVE - 1 - tall, Math.max(1, step - 1), tall)
      }
      context.fill()
    }
    area(sums, colours.inFlight)
    area(stored, colours.stored)
  }

  #place({ lane, since, until }: Bar, width: number): [x: number, y: number, long: number] {
    const { from, to } = this.#times
    const at = (time: number) => MARGIN + ((Math.max(time, from) - from) / (to - from)) * (width - MARGIN)
    const long = Math.max(2, at(until) - at(since) - 1)
    return [Math.min(at(since), width - long), lane * TRACK + (TRACK - BAR) / 2, long]
  }

  get #index(): number {
    return this.#times.bars.findIndex((bar) => keyOf(bar) === this.#chosen)
  }

  #choose(key: string): void {
    if (key === this.#chosen) return
    this.#chosen = key
    this.#describe()
    this.draw()
  }

  #describe(): void {
    const { bars } = this.#times
    const index = this.#index
    const bar = bars[index]
    const said = bar && barText(bar, this.#times, this.#words)
    setText(this.#detail, said ?? this.#words.text('time.hint'))
    setAttribute(this.#canvas, 'aria-valuemax', String(bars.length))
    setAttribute(this.#canvas, 'aria-valuenow', String(index + 1))
    setAttribute(this.#canvas, 'aria-valuetext', said ?? this.#summary.textContent ?? '')
  }

  readonly #onPointer = (event: PointerEvent): void => {
    const width = this.#canvas.clientWidth
    const lane = Math.floor(event.offsetY / TRACK)
    const near = this.#times.bars
      .filter((bar) => bar.lane === lane)
      .map((bar) => {
        const [x, , long] = this.#place(bar, width)
        return { bar, away: Math.max(x - event.offsetX, event.offsetX - x - long, 0) }
      })
      .sort((a, b) => a.away - b.away)[0]
    this.#choose(near && near.away < 6 ? keyOf(near.bar) : '')
  }

  readonly #onKey = (event: KeyboardEvent): void => {
    const { bars } = this.#times
    const index = this.#index
    const last = bars.length - 1
    // From nowhere the first step leads to what happened last.
    const back = index < 0 ? last : index - 1
    const steps: Readonly<Record<string, number>> = {
      ArrowRight: index + 1,
      ArrowUp: index + 1,
      ArrowLeft: back,
      ArrowDown: back,
      Home: 0,
      End: last,
    }
    const to = steps[event.key]
    if (to === undefined || last < 0) return
    event.preventDefault()
    this.#choose(keyOf(bars[Math.min(last, Math.max(0, to))] as Bar))
  }
}

function keyOf(bar: Bar): string {
  return `${bar.lane}:${bar.since}`
}
