import type { Clock } from './seams.js'

export type Job = (lane: number) => Promise<void>

/** Something that has requests to send. */
export interface Worker {
  /** The next request, or null if there is none just now. Asking takes it: it must then be run. */
  next(): Job | null
  /** No request before this moment. */
  readonly blockedUntil: number
}

const WIDEN_AFTER = 8

/**
 * Shares a few lanes among all uploads. As many uploads are under way as there are lanes, and each gets its turn; one
 * that has to wait gives up its place, so a failing file holds nobody up.
 */
export class Scheduler {
  #active: Worker[] = []
  #backlog = new Set<Worker>()
  #waiting = new Set<Worker>()
  readonly #lanes = new Set<number>()
  #limit: number
  #good = 0
  #cancelTimer: () => void = () => undefined
  #queued = false

  /** `open`: whether anything may be sent now. */
  constructor(
    readonly most: number,
    readonly clock: Clock,
    readonly open: () => boolean,
  ) {
    this.#limit = most
  }

  get limit(): number {
    return this.#limit
  }

  get busy(): number {
    return this.#lanes.size
  }

  /** Adds it at the end of the queue, if it is not in it, and looks for work. */
  add(worker: Worker): void {
    if (!this.#active.includes(worker) && !this.#waiting.has(worker)) this.#backlog.add(worker)
    this.wake()
  }

  remove(worker: Worker): void {
    this.#active = this.#active.filter((one) => one !== worker)
    this.#waiting.delete(worker)
    this.#backlog.delete(worker)
    this.wake()
  }

  /** A request stalled that began with `from` lanes: half as many. Others that stall with it change nothing more. */
  narrow(from = this.#limit): void {
    this.#good = 0
    this.#limit = Math.min(this.#limit, Math.max(1, from >> 1))
  }

  /** A request went well; after some of them there may be more at a time again. */
  widen(): void {
    if (this.#limit < this.most && ++this.#good >= WIDEN_AFTER) {
      this.#good = 0
      this.#limit += 1
    }
  }

  /** Looks for work, once for all calls of this turn. */
  wake(): void {
    if (this.#queued) return
    this.#queued = true
    queueMicrotask(() => {
      this.#queued = false
      this.#pump()
    })
  }

  stop(): void {
    this.#cancelTimer()
  }

  #pump(): void {
    this.#cancelTimer()
    while (this.open() && this.#lanes.size < this.#limit) {
      const job = this.#take()
      if (!job) break
      this.#run(job)
    }
    if (this.open()) this.#wakeLater()
  }

  #take(): Job | null {
    this.#settle()
    for (let left = this.#active.length; left > 0; left--) {
      const worker = this.#active.shift() as Worker
      this.#active.push(worker)
      const job = worker.next()
      if (job) return job
    }
    for (const worker of this.#backlog) {
      if (this.#active.length >= this.most) return null
      this.#backlog.delete(worker)
      this.#active.push(worker)
      const job = worker.next()
      if (job) return job
    }
    return null
  }

  /** Those that have to wait make room; those whose time has come go to the end of the queue. */
  #settle(): void {
    const now = this.clock.now()
    for (const worker of this.#waiting) {
      if (worker.blockedUntil <= now) {
        this.#waiting.delete(worker)
        if (this.#active.length < this.most) this.#active.push(worker)
        else this.#backlog.add(worker)
      }
    }
    const blocked = this.#active.filter((worker) => worker.blockedUntil > now)
    if (!blocked.length) return
    this.#active = this.#active.filter((worker) => worker.blockedUntil <= now)
    for (const worker of blocked) this.#waiting.add(worker)
  }

  #run(job: Job): void {
    let lane = 0
    while (this.#lanes.has(lane)) lane++
    this.#lanes.add(lane)
    void job(lane).finally(() => {
      this.#lanes.delete(lane)
      this.wake()
    })
  }

  #wakeLater(): void {
    let next = Number.POSITIVE_INFINITY
    for (const worker of this.#waiting) next = Math.min(next, worker.blockedUntil)
    if (next < Number.POSITIVE_INFINITY) {
      this.#cancelTimer = this.clock.after(Math.max(1, next - this.clock.now()), () => this.wake())
    }
  }
}
