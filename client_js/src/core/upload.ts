import { faultOf, pauseAfter } from './again.js'
import { Bodies } from './body.js'
import { Claim } from './claim.js'
import { UploadError } from './errors.js'
import { History } from './history.js'
import type { Flight, Moving } from './moving.js'
import { isNameTaken } from './naming.js'
import { nextPiece, unitsOf } from './plan.js'
import { ByteRanges } from './ranges.js'
import type { Fate, Room } from './room.js'
import type { Job } from './scheduler.js'
import type { Meta, Part, Standing, UploadSession } from './seams.js'
import { Speed } from './speed.js'
import type { Source } from './types.js'

/** Stopped by hand or by the network, not by a fault. */
const STOPPED = new UploadError('cancelled', 'stopped')
const MOST_BEGINNINGS = 3

/** The bytes of one file on their way: which are there, which go next, and what a refusal means. */
export class Transfer implements Moving {
  readonly openEnded = false
  source: Source | null = null
  session: UploadSession | undefined
  received = new ByteRanges()
  readonly speed = new Speed()
  readonly flights = new Map<symbol, Flight>()
  readonly parts: Part[] = []
  readonly resent = new ByteRanges()
  readonly failedAt = new ByteRanges()
  readonly history = new History()
  first: Part | undefined
  blockedUntil = 0
  opening = false
  resumes = 0
  retries = 0
  resentBytes = 0

  /** Stored at our request, or compared with the file: bytes that are the file's beyond doubt. */
  #own = new ByteRanges()
  #mustAsk = false
  /** Nobody has given the file yet; how it stands is asked all the same. Called when that is known. */
  #looks: (() => void) | null = null
  #joined = false
  #beginnings = 0
  #tries = 0
  #lastGood = 0
  #maxChunks = 10_000
  readonly #bodies: Bodies
  #stop = new AbortController()
  readonly #claim: Claim

  constructor(
    readonly room: Room,
    named: string,
    readonly size: number,
    readonly type: string,
    readonly meta: Meta,
    readonly fate: Fate,
  ) {
    this.#bodies = new Bodies(room.hasher, room.body)
    this.#claim = new Claim(named, room.id)
  }

  adopt(session: UploadSession, first: Part | undefined): void {
    this.session = session
    this.first = first
    this.#mustAsk = true
  }

  get hasAll(): boolean {
    return this.received.covers(0, this.size)
  }

  get proven(): boolean {
    return this.room.hasher !== null && this.#own.covers(0, this.size)
  }

  get inFlight(): number {
    let sum = 0
    for (const flight of this.flights.values()) sum += Math.min(flight.sent, flight.end - flight.start)
    return sum
  }

  start(): void {
    this.#tries = 0
    this.#lastGood = this.room.clock.now()
    this.blockedUntil = 0
    if (this.session) this.resumes += 1
    this.room.scheduler.add(this)
    this.fate.changed()
  }

  look(): Promise<void> {
    this.#lastGood = this.room.clock.now()
    return new Promise((resolve) => {
      this.#looks = resolve
      this.room.scheduler.add(this)
    })
  }

  /** Nothing more is sent until `start`; what is on its way is broken off at once. */
  halt(): void {
    this.#looks?.()
    this.breakOff()
    this.room.scheduler.remove(this)
  }

  /** What is on its way is broken off at once. */
  breakOff(): void {
    const stop = this.#stop
    this.#stop = new AbortController()
    if (this.flights.size && this.session) this.#mustAsk = true
    this.flights.clear()
    stop.abort(STOPPED)
    this.speed.stop()
  }

  /** The network is back: no waiting. What was broken off is asked for first. */
  reconnected(): void {
    this.#tries = 0
    this.blockedUntil = 0
    this.room.scheduler.wake()
  }

  /** Nothing of what was there counts any longer; the next request begins a new upload. */
  forget(): void {
    this.session = undefined
    this.received = new ByteRanges()
    this.#own = new ByteRanges()
    this.parts.length = 0
    this.#mustAsk = false
    this.#joined = false
    this.#claim.renew()
  }

  /** The server has lost or refused something that it had: what lacks is asked for and sent again. */
  reopen(): void {
    this.#mustAsk = true
    this.start()
  }

  next(): Job | null {
    if (this.opening || this.blockedUntil > this.room.clock.now()) return null
    if (!this.source && !this.#looks) return null
    if (!this.session || this.#mustAsk) return this.flights.size ? null : this.#alone((signal) => this.#open(signal))
    if (this.flights.size && !this.room.transport.outOfOrder) return null
    const taken = new ByteRanges(this.received.list)
    for (const { start, end } of this.flights.values()) taken.add(start, end)
    const piece = nextPiece(taken, this.size, this.room.sizer.atLeast(this.size, this.#maxChunks))
    if (piece) return this.#fly(...piece)
    return this.flights.size ? null : this.#alone((signal) => this.#complete(signal))
  }

  // -- one request at a time ------------------------------------------------------------------------

  #alone(work: (signal: AbortSignal) => Promise<void>): Job {
    this.opening = true
    this.fate.changed()
    const { signal } = this.#stop
    return async () => {
      try {
        await work(signal)
      } catch (error) {
        if (!signal.aborted) this.#refused(error)
      } finally {
        this.opening = false
        this.fate.changed()
      }
    }
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { transport, via } = this.room
    if (!this.session) {
      await this.#begin(signal)
      return
    }
    const standing = await transport.status(this.session, via, signal)
    signal.throwIfAborted()
    if (!(await this.#believe(standing))) {
      if (!this.source) throw new UploadError('expired', 'what the server has is of another file')
      this.forget()
      this.fate.warn('server-differs')
      return
    }
    signal.throwIfAborted()
    this.#mustAsk = false
    this.fate.stored()
    this.#looks?.()
    if (standing.state !== 'receiving') this.fate.sealed(standing)
    // With every byte there it is completed, which takes no file. Else it is asked anew when somebody gives it.
    if (this.source || this.hasAll) return
    this.#mustAsk = true
    this.#looks = null
    this.room.scheduler.remove(this)
  }

  async #begin(signal: AbortSignal): Promise<void> {
    const { transport, via, options, sizer } = this.room
    const claim = this.#claim
    for (;;) {
      const info = { name: claim.name, size: this.size, type: this.type, meta: this.meta, key: claim.key }
      const repeated = claim.asked
      claim.asked = true
      const begun = await transport.create(info, via, signal).catch((error: unknown) => {
        if (error instanceof UploadError && isNameTaken(error)) return error
        throw error
      })
      signal.throwIfAborted()
      if (!(begun instanceof UploadError)) {
        const { session, limits, joined, standing } = begun
        this.#joined = joined
        // An upload that was there may be a stranger's: it is ours if all that it holds is our file's.
        const ours = !joined || (standing && (repeated || standing.parts.length > 0) && (await this.#believe(standing)))
        signal.throwIfAborted()
        if (ours) {
          this.session = session
          if (limits.maxChunk) sizer.cap(limits.maxChunk)
          this.#maxChunks = limits.maxChunks ?? this.#maxChunks
          this.fate.stored()
          if (standing && standing.state !== 'receiving') this.fate.sealed(standing)
          return
        }
      }
      if (options.onNameTaken === 'fail' || claim.isSpent) {
        throw new UploadError('name-taken', `the server has another file called ${claim.name}`)
      }
      claim.rename()
    }
  }

  /** Takes over what the server has. False if it is not of this file. Throws if the upload is over. */
  async #believe(standing: Standing): Promise<boolean> {
    if (standing.state === 'failed') throw new UploadError('failed', standing.failure ?? 'the upload failed')
    if (standing.state === 'cancelled') throw new UploadError('cancelled', 'the upload was cancelled')
    if (standing.state === 'expired') throw new UploadError('expired', 'the upload has expired')
    if (standing.length !== undefined && standing.length !== this.size) return false
    const start = standing.parts.find((part) => part.offset === 0 && part.sha256) ?? this.first
    for (const part of this.#joined ? standing.parts : start ? [start] : []) {
      if (!(await this.#isOurs(part))) return false
    }
    this.received = new ByteRanges(standing.state === 'receiving' ? standing.received : [[0, this.size]])
    this.parts.length = 0
    this.parts.push(...standing.parts)
    return true
  }

  async #isOurs(part: Part): Promise<boolean> {
    const end = part.offset + part.size
    const { source } = this
    if (!source || !part.sha256 || this.#own.covers(part.offset, end)) return true
    if (end > this.size) return false
    const { sha256 } = await this.#bodies.make(source, part.offset, end)
    if (sha256 && sha256 !== part.sha256) return false
    this.#own.add(part.offset, end)
    return true
  }

  async #complete(signal: AbortSignal): Promise<void> {
    const { transport, via } = this.room
    if (!this.session) return
    const proof = { size: this.size, chunks: unitsOf(this.size) }
    this.session = await transport.complete(this.session, proof, via, signal)
    signal.throwIfAborted()
    this.#good()
    this.fate.sealed()
  }

  // -- pieces -----------------------------------------------------------------------------------------

  #fly(start: number, end: number): Job {
    const id = Symbol()
    const { clock, scheduler } = this.room
    const tries = this.#tries + 1
    const flight: Flight = { lane: 0, start, end, since: clock.now(), sent: 0, tries, limit: scheduler.limit }
    this.flights.set(id, flight)
    const { signal } = this.#stop
    return async (lane) => {
      flight.lane = lane
      flight.since = clock.now()
      this.fate.changed()
      try {
        const stored = await this.#send(flight, signal)
        this.history.add(flight, clock.now(), 'stored', stored)
      } catch (error) {
        this.flights.delete(id)
        this.history.add(flight, clock.now(), signal.aborted ? 'stopped' : 'failed', 0)
        if (!signal.aborted) this.#refused(error, flight)
      } finally {
        this.flights.delete(id)
        this.fate.changed()
      }
    }
  }

  /** How much of it the server has taken. */
  async #send(flight: Flight, signal: AbortSignal): Promise<number> {
    const { source, session } = this
    if (!source || !session) return 0
    const { room } = this
    const { start, end } = flight
    const { body, sha256 } = await this.#bodies.make(source, start, end)
    signal.throwIfAborted()
    const since = room.clock.now()
    const chunk = { start, end, total: this.size, body, sha256 }
    const ack = await room.transport.put(session, chunk, room.via, signal, (sent) => {
      flight.sent = sent
      this.fate.changed()
    })
    signal.throwIfAborted()
    const now = room.clock.now()
    const stored = Math.min(ack.stored, end - start)
    if (ack.session) this.session = ack.session
    this.received.add(start, start + stored)
    if (stored < end - start) this.#mustAsk = true
    else this.#own.add(start, end)
    if (ack.again) {
      this.resentBytes += stored
      this.resent.add(start, end)
    }
    if (stored) this.parts.push({ offset: start, size: stored, sha256: stored === end - start ? sha256 : undefined })
    if (start === 0 && sha256 && stored === end) this.first = { offset: 0, size: end, sha256 }
    this.failedAt.remove(start, end)
    this.speed.acked(now, stored, since)
    room.speed.acked(now, stored, since)
    room.sizer.acked(end - start, now - since)
    room.scheduler.widen()
    this.#bodies.went(start)
    this.#beginnings = 0
    this.#good()
    this.fate.stored()
    return stored
  }

  // -- refusals ---------------------------------------------------------------------------------------

  #good(): void {
    this.#tries = 0
    this.#lastGood = this.room.clock.now()
    this.blockedUntil = 0
  }

  #refused(thrown: unknown, flight?: Flight): void {
    const { room } = this
    const error = faultOf(room, thrown, this.session, flight)
    if (flight) this.failedAt.add(flight.start, flight.end)
    if (this.#helped(error, flight)) {
      this.retries += 1
      return
    }
    // It may have arrived, and only the answer was lost.
    const unclear = !flight || !room.transport.outOfOrder || flight.sent >= flight.end - flight.start
    if (this.session && (unclear || error.code === 'locked')) this.#mustAsk = true
    this.#tries += 1
    const pause = pauseAfter(room, error, this.#tries, this.#lastGood)
    if (pause === null) {
      this.fate.failed(error)
      return
    }
    this.retries += 1
    this.blockedUntil = Math.max(this.blockedUntil, room.clock.now() + pause)
  }

  /** True if something else than waiting helps, and has been done. */
  #helped(error: UploadError, flight?: Flight): boolean {
    const { sizer } = this.room
    switch (error.code) {
      case 'expired':
        if (!this.source || !this.session || ++this.#beginnings > MOST_BEGINNINGS) return false
        this.forget()
        this.fate.warn('begun-anew')
        return true
      case 'conflict':
        if (!this.#joined || this.#claim.isSpent) return false
        this.forget()
        this.#claim.rename()
        this.fate.warn('renamed', { name: this.#claim.name })
        return true
      case 'too-large':
        if (!flight || error.problem === 'upload-too-large') return false
        if (!sizer.refused(flight.end - flight.start, error.limit)) return false
        this.fate.warn('smaller-chunks', { bytes: error.limit ?? sizer.size })
        return true
      case 'locked':
        if (error.problem !== 'already-complete' && error.problem !== 'incomplete') return false
        if (this.#mustAsk || this.#tries > 2) return false
        this.#mustAsk = true
        return true
      case 'stalled':
      case 'checksum':
        if (flight) this.#bodies.failed(flight.start)
        if (flight && error.code === 'stalled') sizer.stalled(flight.end - flight.start)
        return false
      default:
        return false
    }
  }
}
