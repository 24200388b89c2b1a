/** The list of uploads: ten thousand may be in it, only those that can be seen are made. */

import type { UploadTask } from '../core/types.js'
import { h } from './dom.js'
import { loadDetails, Row, type RowHost } from './row.js'
import { offsetOf, type Taller, windowOf } from './windowing.js'

/** Pixels that a row is taken to be high until it has been seen. */
const ROW = 96
const SPARE = 4

export class List {
  readonly element: HTMLElement
  readonly #host: RowHost
  readonly #items: HTMLUListElement
  readonly #none = h('p', { class: 'none', hidden: true })
  readonly #rows = new Map<string, Row>()
  /** How much higher than `ROW` the rows are that have been measured, by id. */
  readonly #taller = new Map<string, number>()
  readonly #open = new Set<string>()
  readonly #sizes: ResizeObserver
  #tasks: readonly UploadTask[] = []
  #places = new Map<string, number>()
  #now = 0
  #frame = 0
  readonly #stale = new Set<Row>()

  constructor(host: Omit<RowHost, 'toggle'>) {
    const { words, act, after } = host
    this.#host = { words, after, act: act.bind(host), toggle: (task, open) => this.toggle(task.id, open) }
    this.#items = h('ul', { class: 'rows', 'aria-label': words.text('list.label') })
    this.element = h('div', { class: 'list', part: 'list' }, this.#items, this.#none)
    this.#none.append(words.text('list.none'))
    this.element.addEventListener('scroll', () => this.#later(), { passive: true })
    this.#sizes = new ResizeObserver((entries) => this.#measured(entries))
    this.#sizes.observe(this.element)
    // Without a network it could not be had any more; what fails here is tried again by the row that needs it.
    loadDetails().catch((error: unknown) => console.warn('onward-upload:', error))
  }

  /** Shows these uploads, in this order. */
  show(tasks: readonly UploadTask[], now: number): void {
    if (tasks !== this.#tasks) {
      this.#tasks = tasks
      this.#places = new Map(tasks.map((task, index) => [task.id, index]))
      for (const id of this.#taller.keys()) if (!this.#places.has(id)) this.#taller.delete(id)
      for (const id of this.#open) if (!this.#places.has(id)) this.#open.delete(id)
    }
    this.#now = now
    this.#none.hidden = tasks.length > 0
    this.#items.hidden = tasks.length === 0
    this.render()
  }

  /** Shows what was added last. */
  toTop(): void {
    this.element.scrollTop = 0
  }

  /** Opens or closes what an upload has to tell. */
  toggle(id: string, open: boolean): void {
    if (open) this.#open.add(id)
    else this.#open.delete(id)
    this.#rows.get(id)?.open(open)
  }

  /** Gives a row the focus; false if there is none at this place. */
  focus(index: number): boolean {
    const row = this.#rows.get(this.#tasks[index]?.id ?? '')
    row?.focus()
    return row !== undefined
  }

  /** Puts the rows into the document that can be seen, and brings them up to date. */
  render(): void {
    const taller = this.#tallerRows()
    const { clientHeight, scrollTop } = this.element
    const view = { top: scrollTop, height: clientHeight || 600, spare: SPARE }
    const { before, end, first, height } = windowOf(this.#tasks.length, ROW, taller, view)
    const after = height - offsetOf(end, ROW, taller)
    this.#items.style.setProperty('padding-block', `${before}px ${after}px`)
    const wanted = this.#tasks.slice(first, end)
    const ids = new Set(wanted.map((task) => task.id))
    for (const [id, row] of this.#rows) {
      if (!ids.has(id) || row.task !== this.#tasks[this.#places.get(id) ?? -1]) this.#drop(id, row)
    }
    let previous: Element | null = null
    for (const [at, task] of wanted.entries()) {
      const row = this.#rows.get(task.id) ?? this.#make(task)
      const place: Element | null = previous ? previous.nextElementSibling : this.#items.firstElementChild
      // Moved only if it stands elsewhere: a moved element loses its focus.
      if (place !== row.element) this.#items.insertBefore(row.element, place)
      row.update(this.#now, first + at + 1, this.#tasks.length)
      previous = row.element
    }
  }

  /** Draws maps anew, as for other colours. */
  redraw(): void {
    for (const row of this.#rows.values()) row.redraw()
  }

  close(): void {
    cancelAnimationFrame(this.#frame)
    this.#sizes.disconnect()
    for (const [id, row] of this.#rows) this.#drop(id, row)
  }

  #make(task: UploadTask): Row {
    const row = new Row(task, this.#host)
    this.#rows.set(task.id, row)
    row.open(this.#open.has(task.id))
    this.#sizes.observe(row.element)
    return row
  }

  #drop(id: string, row: Row): void {
    this.#sizes.unobserve(row.element)
    row.element.remove()
    this.#rows.delete(id)
  }

  #tallerRows(): Taller[] {
    const rows: Taller[] = []
    for (const [id, by] of this.#taller) {
      const index = this.#places.get(id)
      if (index !== undefined && by !== 0) rows.push({ index, by })
    }
    return rows.sort((a, b) => a.index - b.index)
  }

  #measured(entries: readonly ResizeObserverEntry[]): void {
    const rowOf = new Map([...this.#rows].map(([id, row]) => [row.element as Element, [id, row] as const]))
    for (const { target } of entries) {
      const found = rowOf.get(target)
      const height = (target as HTMLElement).offsetHeight
      if (!found || height === 0) continue
      this.#taller.set(found[0], height - ROW)
      this.#stale.add(found[1])
    }
    this.#later()
  }

  #later(): void {
    if (this.#frame) return
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0
      // Not while sizes are being told: a map that grows would have them told again.
      for (const row of this.#stale) row.redraw()
      this.#stale.clear()
      this.render()
    })
  }
}
