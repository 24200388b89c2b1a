/** The chunk map: a cell for each piece of a file, on a canvas, and the same in words. */

import { CELL, type UploadTask } from '../core/types.js'
import { cellText, type Grid, gridOf, lanesOf, mapText } from './cells.js'
import { h, setAttribute, setText } from './dom.js'
import type { Words } from './i18n/index.js'
import { blank, Palette } from './palette.js'

/** What the legend names, in the order of the values of `CELL`. */
const KINDS = ['empty', 'inFlight', 'partly', 'stored', 'verified', 'resent', 'failed'] as const
const LARGEST = 18
const SMALLEST = 3
/** How much of its colour a piece has that is on its way. */
const PALE = 0.35
const GAP = 1
/** Pixels that the map may be high before its cells shrink. */
const ROOM = 132

/**
 * Shows how the pieces of one upload stand; call `update` when it has moved on.
 *
 * Under the pointer and with the arrow keys single pieces are described.
 */
export class ChunkMap {
  readonly element: HTMLElement
  readonly #task: UploadTask
  readonly #words: Words
  readonly #canvas: HTMLCanvasElement
  readonly #summary: HTMLElement
  readonly #detail: HTMLElement
  readonly #legend: HTMLElement
  readonly #swatches: readonly HTMLElement[]
  readonly #palette = new Palette()
  readonly #grid: Grid
  #cells: Uint8Array
  #chosen = -1
  #columns = 1
  #pitch = LARGEST

  constructor(task: UploadTask, words: Words) {
    this.#task = task
    this.#words = words
    this.#grid = gridOf(task.view.size)
    this.#cells = new Uint8Array(this.#grid.count)
    this.#swatches = KINDS.map((kind) => h('i', { class: `swatch ${kind}` }))
    this.#legend = h(
      'ul',
      { class: 'legend', 'aria-hidden': 'true' },
      ...KINDS.map((kind, at) => h('li', {}, this.#swatches[at], words.text(`map.${kind}`))),
    )
    this.#canvas = h('canvas', {
      class: 'cells',
      part: 'chunk-map',
      tabindex: 0,
      role: 'slider',
      'aria-label': words.text('map.label', { name: task.name }),
      'aria-valuemin': 1,
      'aria-valuemax': this.#grid.count,
      'aria-valuenow': 1,
    })
    this.#summary = h('p', { class: 'map-summary' })
    this.#detail = h('p', { class: 'map-detail' }, words.text('map.hint'))
    const { element: palette } = this.#palette
    const head = h('div', { class: 'map-head' }, h('b', {}, words.text('map.title')), this.#legend)
    this.element = h('div', { class: 'map' }, head, this.#canvas, this.#summary, this.#detail, palette)
    this.#canvas.addEventListener('keydown', this.#onKey)
    this.#canvas.addEventListener('pointermove', this.#onPointer)
    this.#canvas.addEventListener('pointerleave', () => this.#choose(-1))
    this.#canvas.addEventListener('blur', () => this.#choose(-1))
  }

  /** Reads the upload again and draws what has changed. */
  update(): void {
    this.#cells = this.#task.bitmap(this.#grid.count)
    setText(this.#summary, mapText(this.#cells, this.#words))
    const seen = new Set(this.#cells)
    for (const [at, swatch] of this.#swatches.entries()) {
      ;(swatch.parentElement as HTMLElement).hidden = !seen.has(at)
    }
    this.#describe()
    this.draw()
  }

  /** Draws anew, as after another width or other colours. */
  draw(): void {
    const width = this.#canvas.clientWidth
    if (width === 0) return
    const context = blank(this.#canvas, width, this.#lay(width) * this.#pitch)
    if (context) this.#paint(context)
  }

  /** Chooses the size of cells so that all fit; returns how many rows they take. */
  #lay(width: number): number {
    const { count } = this.#grid
    let pitch = LARGEST
    while (pitch > SMALLEST + GAP && Math.ceil(count / Math.floor(width / pitch)) * pitch > ROOM) pitch -= 1
    this.#pitch = pitch
    this.#columns = Math.max(1, Math.floor(width / pitch))
    return Math.ceil(count / this.#columns)
  }

  #paint(context: CanvasRenderingContext2D): void {
    const kinds = this.#swatches.map((swatch) => getComputedStyle(swatch).backgroundColor)
    const side = this.#pitch - GAP - (this.#pitch > 8 ? 1 : 0)
    const radius = side > 8 ? 2.5 : side > 5 ? 1.5 : 0
    const lanes = lanesOf(this.#task.lanes, this.#grid)
    const colours = this.#palette.read()
    const byColour = new Map<string, number[]>()
    for (const [index, cell] of this.#cells.entries()) {
      const lane = cell === CELL.inFlight ? (lanes[index] ?? -1) : -1
      // What is on its way is paler than what is there, and has an edge; a pipe cannot be in a colour.
      const colour = lane >= 0 ? `|${colours.lane(lane)}` : (kinds[cell] as string)
      const same = byColour.get(colour)
      if (same) same.push(index)
      else byColour.set(colour, [index])
    }
    for (const [colour, indexes] of byColour) {
      const isPale = colour.startsWith('|')
      context.fillStyle = context.strokeStyle = isPale ? colour.slice(1) : colour
      context.beginPath()
      const inset = isPale ? 0.5 : 0
      for (const index of indexes) {
        const [x, y] = this.#place(index)
        const size = side - inset * 2
        if (radius > 0) context.roundRect(x + inset, y + inset, size, size, radius)
        else context.rect(x + inset, y + inset, size, size)
      }
      context.globalAlpha = isPale ? PALE : 1
      context.fill()
      context.globalAlpha = 1
      context.lineWidth = 1
      if (isPale && side > 4) context.stroke()
    }
    if (this.#chosen >= 0) {
      const [x, y] = this.#place(this.#chosen)
      context.strokeStyle = getComputedStyle(this.#canvas).color
      context.lineWidth = 2
      context.strokeRect(x - 0.5, y - 0.5, side + 1, side + 1)
    }
  }

  #place(index: number): [number, number] {
    return [(index % this.#columns) * this.#pitch + 1, Math.floor(index / this.#columns) * this.#pitch + 1]
  }

  #choose(index: number): void {
    if (index === this.#chosen) return
    this.#chosen = index
    this.#describe()
    this.draw()
  }

  #describe(): void {
    const index = this.#chosen
    const about = (at: number) => cellText(at, this.#grid, this.#cells, this.#task, this.#words)
    setText(this.#detail, index < 0 ? this.#words.text('map.hint') : about(index))
    setAttribute(this.#canvas, 'aria-valuenow', String(Math.max(0, index) + 1))
    setAttribute(this.#canvas, 'aria-valuetext', index < 0 ? (this.#summary.textContent ?? '') : about(index))
  }

  readonly #onPointer = (event: PointerEvent): void => {
    const column = Math.floor(event.offsetX / this.#pitch)
    const index = Math.floor(event.offsetY / this.#pitch) * this.#columns + column
    this.#choose(column < this.#columns && index < this.#cells.length ? index : -1)
  }

  readonly #onKey = (event: KeyboardEvent): void => {
    const last = this.#cells.length - 1
    const from = this.#chosen
    const steps: Readonly<Record<string, number>> = {
      ArrowRight: from + 1,
      ArrowLeft: from - 1,
      ArrowDown: from < 0 ? 0 : from + this.#columns,
      ArrowUp: from - this.#columns,
      Home: 0,
      End: last,
    }
    const to = steps[event.key]
    if (to === undefined) return
    event.preventDefault()
    this.#choose(Math.min(last, Math.max(0, to)))
  }
}
