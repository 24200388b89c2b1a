import type { Clock } from './seams.js'

const EVERY = 100
const AGING = 500
/** Parts of the time that the page has for all else, to one for telling: ten thousand uploads take long to look through. */
const REST = 8

/** Tells subscribers that something has changed: at once, then at most ten times a second. */
export class Notifier {
  readonly #subscribers = new Set<() => void>()
  #last = Number.NEGATIVE_INFINITY
  #cancel: (() => void) | null = null
  #aging = false
  #pace = EVERY

  /** `tick` is called before subscribers are; it answers whether things go on changing by themselves. */
  constructor(
    readonly clock: Clock,
    readonly tick: () => boolean,
  ) {}

  add(fn: () => void): () => void {
    this.#subscribers.add(fn)
    return () => this.#subscribers.delete(fn)
  }

  mark(): void {
    if (this.#cancel && !this.#aging) return
    this.#cancel?.()
    this.#aging = false
    this.#cancel = this.clock.after(Math.max(0, this.#last + this.#pace - this.clock.now()), () => this.#tell())
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = null
  }

  #tell(): void {
    this.#cancel = null
    this.#last = this.clock.now()
    const goesOn = this.tick()
    for (const fn of this.#subscribers) fn()
    this.#pace = Math.max(EVERY, REST * (this.clock.now() - this.#last))
    if (goesOn && !this.#cancel) {
      this.#aging = true
      this.#cancel = this.clock.after(AGING, () => this.#tell())
    }
  }
}
