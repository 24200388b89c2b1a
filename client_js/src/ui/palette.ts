/** The colours of lanes and of what befalls requests, as the style sheet has them: a canvas reads them off elements. */

import { h } from './dom.js'

/** Colours that there are; lanes beyond take turns. */
const LANES = [1, 2, 3, 4, 5, 6].map((n) => `lane-${n}`)
const OTHERS = ['failed', 'stopped', 'muted', 'line', 'stored', 'inFlight'] as const

export type Colours = Readonly<Record<(typeof OTHERS)[number], string>> & {
  /** Of a lane, counted from 0. */
  lane(lane: number): string
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
