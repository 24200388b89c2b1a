import type { Channel, Clock, Locks } from '../core/seams.js'

const ANSWER_WITHIN = 150

interface Said {
  readonly want?: string
  readonly held?: string
  readonly take?: string
  readonly from: string
}

/** Where the browser has no locks, as on plain http: tabs ask each other, and who holds a name says so. */
export class LeaseLocks implements Locks {
  readonly #held = new Map<string, () => void>()
  readonly #asking = new Map<string, () => void>()

  /** `id` tells this tab from others. */
  constructor(
    readonly channel: Channel,
    readonly clock: Clock,
    readonly id: string,
  ) {
    channel.listen((message) => this.#heard(message as Said))
  }

  async acquire(
    name: string,
    { steal, onLost }: { steal?: boolean; onLost: () => void },
  ): Promise<(() => void) | null> {
    if (this.#held.has(name) || this.#asking.has(name)) return null
    const free = await new Promise<boolean>((resolve) => {
      this.#asking.set(name, () => resolve(false))
      this.channel.post({ [steal ? 'take' : 'want']: name, from: this.id })
      this.clock.after(ANSWER_WITHIN, () => resolve(true))
    })
    this.#asking.delete(name)
    if (!free) return null
    this.#held.set(name, onLost)
    return () => this.#held.delete(name)
  }

  #heard({ want, held, take, from }: Said): void {
    if (want !== undefined && (this.#held.has(want) || (this.#asking.has(want) && this.id < from))) {
      this.channel.post({ held: want, from: this.id })
    }
    if (held !== undefined) this.#asking.get(held)?.()
    if (take !== undefined) {
      const lost = this.#held.get(take)
      this.#held.delete(take)
      lost?.()
    }
  }
}
