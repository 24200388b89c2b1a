import type { Clock } from './seams.js'
import type { Connection } from './types.js'

const FIRST = 1000
const LONGEST = 30_000

/** Whether requests may go out. Shut when the network is gone; opened by a probe, by the browser's word, or by hand. */
export class Gate {
  #shut = false
  #retryAt?: number
  #delay = FIRST
  #probing = false
  #cancel: () => void = () => undefined

  /** `probe` resolves if there was any answer. Without it only the browser or a person opens the gate. */
  constructor(
    readonly clock: Clock,
    readonly probe: (() => Promise<boolean>) | null,
    readonly onChange: () => void,
  ) {}

  get shut(): boolean {
    return this.#shut
  }

  get connection(): Connection {
    return this.#shut ? { state: 'waiting', retryAt: this.#retryAt } : { state: 'online' }
  }

  /** A request had no answer: is it the network or only that request? */
  suspect(): void {
    if (!this.#shut && !this.#probing && this.probe) void this.#ask()
  }

  /** The browser says that the network is gone. */
  close(): void {
    if (this.#shut) return
    this.#shut = true
    this.#delay = FIRST
    this.#plan()
    this.onChange()
  }

  /** Back, or somebody wants a try now. */
  open(): void {
    this.#cancel()
    if (!this.#shut) return
    this.#shut = false
    this.#retryAt = undefined
    this.onChange()
  }

  stop(): void {
    this.#cancel()
  }

  async #ask(): Promise<void> {
    this.#probing = true
    const answered = await this.probe?.()
    this.#probing = false
    if (answered) this.open()
    else if (this.#shut) {
      this.#delay = Math.min(LONGEST, this.#delay * 2)
      this.#plan()
      this.onChange()
    } else this.close()
  }

  #plan(): void {
    this.#cancel()
    if (!this.probe) return
    this.#retryAt = this.clock.now() + this.#delay
    this.#cancel = this.clock.after(this.#delay, () => {
      if (this.#shut && !this.#probing) void this.#ask()
    })
  }
}
