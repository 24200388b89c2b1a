/** The line above the list: how all stands, what to show of it, and what to do with all. */

import type { Snapshot, Uploader, UploadTask } from '../core/types.js'
import { button, h, setAttribute, setText } from './dom.js'
import type { Words } from './i18n/index.js'
import { ACTIVE, ENDED, shareOfAll } from './states.js'
import { summary } from './summary.js'

export const FILTERS = ['all', 'active', 'paused', 'failed', 'done'] as const
export type FilterName = (typeof FILTERS)[number]

/** Uploads from which on it pays to filter. */
const MANY = 4

export class Tools {
  readonly element: HTMLElement
  readonly #words: Words
  readonly #said = h('p', { class: 'summary' })
  readonly #filters: HTMLElement
  readonly #chips: ReadonlyMap<FilterName, HTMLButtonElement>
  readonly #pause: HTMLButtonElement
  readonly #resume: HTMLButtonElement
  readonly #clear: HTMLButtonElement

  constructor(words: Words, uploader: Uploader, onFilter: (filter: FilterName) => void) {
    this.#words = words
    this.#pause = button('quiet', () => uploader.pauseAll(), words.text('action.pauseAll'))
    this.#resume = button('quiet', () => uploader.resumeAll(), words.text('action.resumeAll'))
    this.#clear = button('quiet', () => clear(uploader), words.text('action.clear'))
    this.#chips = new Map(
      FILTERS.map((name) => [name, button('chip', () => onFilter(name), words.text(`filter.${name}`))]),
    )
    this.#filters = h('div', { class: 'filters', role: 'group', 'aria-label': words.text('filter.label') })
    this.#filters.append(...this.#chips.values())
    const all = h('div', { class: 'all' }, this.#pause, this.#resume, this.#clear)
    this.element = h('div', { class: 'tools', part: 'tools' }, this.#said, all, this.#filters)
  }

  /** Says how things stand, and offers what makes sense now. */
  update(snapshot: Snapshot, tasks: readonly UploadTask[], filter: FilterName): void {
    const { counts } = snapshot
    this.element.hidden = tasks.length === 0
    const open = tasks.filter((task) => !ENDED.has(task.state))
    setText(this.#said, summary(snapshot, open.length, shareOfAll(open), this.#words))
    const running =
      tasks.filter((task) => ACTIVE.has(task.state)).length - (counts.verifying ?? 0) - (counts.assembling ?? 0)
    this.#pause.hidden = running < 2
    this.#resume.hidden = (counts.paused ?? 0) < 2
    this.#clear.hidden = tasks.length - open.length === 0 || tasks.length < 2
    this.#filters.hidden = tasks.length < MANY
    for (const [name, made] of this.#chips) setAttribute(made, 'aria-pressed', String(name === filter))
  }
}

function clear(uploader: Uploader): void {
  for (const task of [...uploader.tasks]) {
    if (task.state === 'done' || task.state === 'cancelled') uploader.remove(task.id)
  }
}
