const WINDOW = 20_000

/** Bytes per second, of acknowledged bytes alone: what is handed to the network says nothing about its pace. */
export class Speed {
  #acks: [at: number, bytes: number][] = []
  #began = 0

  /** `bytes` were acknowledged; they were on their way since `since`. */
  acked(now: number, bytes: number, since: number): void {
    if (!this.#acks.length) this.#began = since
    this.#acks.push([now, bytes])
    this.#forget(now)
  }

  /** Nothing is sent any longer. */
  stop(): void {
    this.#acks = []
  }

  perSecond(now: number): number {
    this.#forget(now)
    const bytes = this.#acks.reduce((sum, ack) => sum + ack[1], 0)
    return bytes ? (bytes * 1000) / Math.max(now - Math.max(this.#began, now - WINDOW), 1) : 0
  }

  #forget(now: number): void {
    while (this.#acks[0] && this.#acks[0][0] <= now - WINDOW) this.#acks.shift()
  }
}

export function eta(left: number, perSecond: number): number | null {
  if (left <= 0) return 0
  return perSecond > 0 ? left / perSecond : null
}
