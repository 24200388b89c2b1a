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
  #stalled = false
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

  /** After a stall nothing goes out before an answer has come: connections that died in silence are found out first. */
  get passes(): boolean {
    return !this.#shut && !this.#stalled
  }

  get connection(): Connection {
    return this.#shut ? { state: 'waiting', retryAt: this.#retryAt } : { state: 'online' }
  }

  /** A request had no answer: is it the network or only that request? `stalled`: it fell silent. */
  async suspect(stalled: boolean): Promise<void> {
    if (this.#shut || !this.probe) return
    this.#stalled ||= stalled
    if (!this.#probing) await this.#ask()
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
    this.#stalled = false
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
