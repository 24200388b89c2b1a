/** What a screen reader is told, and how often: at most one sentence in five seconds. */

/** Milliseconds between two sentences. */
export const PACE = 5000

export interface Clock {
  now(): number
  after(ms: number, run: () => void): () => void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

/**
 * Says sentences one after the other, the urgent ones first.
 *
 * Of one topic only the last word waits: "50 %" that could not be said yet gives way to "75 %".
 */
export class Announcer {
  readonly #say: (sentence: string) => void
  readonly #clock: Clock
  readonly #waiting = new Map<string, { sentence: string; urgent: boolean }>()
  #last = Number.NEGATIVE_INFINITY
  #cancel: (() => void) | undefined

  constructor(say: (sentence: string) => void, clock: Clock = systemClock) {
    this.#say = say
    this.#clock = clock
  }

  /** Say this as soon as it may be said, instead of whatever still waits on the same topic. */
  tell(topic: string, sentence: string, urgent = false): void {
    this.#waiting.delete(topic)
    this.#waiting.set(topic, { sentence, urgent })
    this.#next()
  }

  /** True if a sentence on this topic has yet to be said. */
  waits(topic: string): boolean {
    return this.#waiting.has(topic)
  }

  /** What still waits on this topic is not worth saying any more. */
  forget(topic: string): void {
    this.#waiting.delete(topic)
  }

  /** Say nothing more. */
  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#waiting.clear()
  }

  #next(): void {
    if (this.#cancel || this.#waiting.size === 0) return
    const wait = this.#last + PACE - this.#clock.now()
    if (wait > 0) {
      this.#cancel = this.#clock.after(wait, () => {
        this.#cancel = undefined
        this.#next()
      })
      return
    }
    const entries = [...this.#waiting]
    const [topic, chosen] = entries.find(([, one]) => one.urgent) ?? (entries[0] as (typeof entries)[0])
    this.#waiting.delete(topic)
    this.#last = this.#clock.now()
    this.#say(chosen.sentence)
    this.#next()
  }
}

/** The quarter that a share has passed: 0, 25, 50 or 75. */
export function quarter(share: number): 0 | 25 | 50 | 75 {
  if (share >= 0.75) return 75
  if (share >= 0.5) return 50
  return share >= 0.25 ? 25 : 0
}
