/** What is drawn on, and with: canvases, and the colours of the style sheet, which a canvas reads off elements. */

import { h } from './dom.js'

/** Colours that there are; lanes beyond take turns. */
const LANES = [1, 2, 3, 4, 5, 6].map((n) => `lane-${n}`)
const OTHERS = ['failed', 'stopped', 'muted', 'line', 'stored', 'inFlight'] as const

export type Colours = Readonly<Record<(typeof OTHERS)[number], string>> & {
  /** Of a lane, counted from 0. */
  lane(lane: number): string
}

/** A canvas of this size, empty, to be drawn on in pixels of the page; null where it cannot be seen. */
export function blank(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D | null {
  const context = canvas.getContext('2d')
  if (width === 0 || !context) return null
  const scale = devicePixelRatio || 1
  const wanted = [Math.round(width * scale), Math.round(height * scale)] as const
  if (canvas.width !== wanted[0] || canvas.height !== wanted[1]) {
    ;[canvas.width, canvas.height] = wanted
    canvas.style.setProperty('height', `${height}px`)
  }
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.clearRect(0, 0, width, height)
  return context
}

export class Palette {
  /** Belongs into the document, below the style sheet; nobody sees it. */
  readonly element = h('span', { hidden: true })
  readonly #swatches = [...LANES, ...OTHERS].map((name) => h('i', { class: `swatch ${name}` }))

  constructor() {
    this.element.append(...this.#swatches)
  }

  /** All of them as they are now, light or dark. */
  read(): Colours {
    const all = this.#swatches.map((swatch) => getComputedStyle(swatch).backgroundColor)
    const others = Object.fromEntries(OTHERS.map((name, at) => [name, all[LANES.length + at]]))
    return {
      ...(others as Record<(typeof OTHERS)[number], string>),
      lane: (lane) => all[lane % LANES.length] as string,
    }
  }
}
