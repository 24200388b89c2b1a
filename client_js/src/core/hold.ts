import type { Locks } from './seams.js'

/** One upload's lock over all tabs. */
export class TabLock {
  #release: (() => void) | null = null
  #asking: Promise<(() => void) | null> | null = null

  /** `onLost`: another tab has taken it. */
  constructor(
    readonly locks: Locks,
    readonly name: string,
    readonly onLost: () => void,
  ) {}

  /** False: another tab has it. */
  async take(steal: boolean): Promise<boolean> {
    if (this.#release) return true
    const onLost = (): void => {
      this.#release = null
      this.onLost()
    }
    // Where locks are forbidden, as in some frames, there is nobody to share with either.
    this.#asking ??= this.locks.acquire(this.name, { steal, onLost }).catch(() => () => undefined)
    this.#release = await this.#asking
    this.#asking = null
    return this.#release !== null
  }

  release(): void {
    this.#release?.()
    this.#release = null
    // What is only on its way is let go as soon as it comes.
    void this.#asking?.then((release) => release?.())
    this.#asking = null
  }
}
