/** What an upload has to tell when it is opened: its proof, its pieces, its requests. Fetched when that happens. */

import type { UploadTask } from '../core/types.js'
import { ChunkMap } from './chunkmap.js'
import { h } from './dom.js'
import words from './i18n/en.details.json' with { type: 'json' }
import type { Words } from './i18n/index.js'
import { Proof } from './proof.js'
import { type Afterwards, Repeat } from './repeat.js'
import { Timeline } from './timeline.js'

export { STYLES } from './details-styles.js'
export { words }

export class Details {
  readonly element: HTMLElement
  readonly #proof: Proof
  readonly #map: ChunkMap
  readonly #timeline: Timeline
  readonly #repeat: Repeat

  constructor(task: UploadTask, words: Words, after: Afterwards) {
    this.#proof = new Proof(task, words)
    this.#map = new ChunkMap(task, words)
    this.#timeline = new Timeline(task, words)
    this.#repeat = new Repeat(task, words, after)
    const parts = [this.#proof, this.#map, this.#timeline, this.#repeat]
    this.element = h('div', { class: 'inside' }, ...parts.map((part) => part.element))
  }

  /** Reads the upload again. */
  update(): void {
    this.#proof.update()
    this.#map.update()
    this.#timeline.update()
    this.#repeat.update()
  }

  /** Draws anew, as after another width. */
  draw(): void {
    this.#map.draw()
    this.#timeline.draw()
  }
}
