import { faultOf, pauseAfter } from './again.js'
import { Bodies } from './body.js'
import { Claim } from './claim.js'
import { UploadError } from './errors.js'
import { History } from './history.js'
import type { Flight, Moving } from './moving.js'
import { isNameTaken } from './naming.js'
import { unitsOf } from './plan.js'
import { ByteRanges } from './ranges.js'
import type { Fate, Room } from './room.js'
import type { Job } from './scheduler.js'
import type { Meta, Part, UploadSession } from './seams.js'
import { Speed } from './speed.js'
import type { Source } from './types.js'

const STOPPED = new UploadError('cancelled', 'stopped')
/** Milliseconds that bytes wait at most for others to go with them. */
const FLUSH = 5000
const NEVER = Number.POSITIVE_INFINITY

type Read = ReadableStreamReadResult<Uint8Array>

/** The bytes of a stream on their way, in order: one chunk of them is held here until the server has it. */
export class StreamTransfer implements Moving {
  source: Source | null = null
  session: UploadSession | undefined
  readonly received = new ByteRanges()
  readonly speed = new Speed()
  readonly flights = new Map<symbol, Flight>()
  readonly history = new History()
  readonly parts: Part[] = []
  readonly resent = new ByteRanges()
  readonly failedAt = new ByteRanges()
  readonly first = undefined
  opening = false
  openEnded = true
  resumes = 0
  retries = 0
  readonly resentBytes = 0
  size = 0

  /** Read, and not stored yet as far as is known; `#start` is its place. */
  #held = new Uint8Array()
  #start = 0
  /** Of the last piece that was read: what is more than a chunk. */
  #rest: Uint8Array | undefined
  #reading: Promise<Read> | undefined
  #filling = false
  #blocked = 0
  #isOn = false
  #isLost = false
  #mustAsk = false
  #tries = 0
  #lastGood = 0
  #proven = 0
  #stop = new AbortController()
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #bodies: Bodies
  readonly #claim: Claim

  constructor(
    readonly room: Room,
    stream: ReadableStream<Uint8Array>,
    named: string,
    readonly type: string,
    readonly meta: Meta,
    readonly fate: Fate,
  ) {
    this.#reader = stream.getReader()
    this.#bodies = new Bodies(room.hasher, room.body === 'slice' ? 'blob' : room.body)
    this.#claim = new Claim(named, room.id)
  }

  /** One that waits for its bytes gives up its place among the uploads. */
  get blockedUntil(): number {
    return this.#filling ? NEVER : this.#blocked
  }

  get hasAll(): boolean {
    return !this.openEnded && this.#held.length === 0 && !this.#filling
  }

  get proven(): boolean {
    return this.room.hasher !== null && this.hasAll && this.#proven === this.size
  }

  get inFlight(): number {
    let sum = 0
    for (const flight of this.flights.values()) sum += Math.min(flight.sent, flight.end - flight.start)
    return sum
  }

  start(): void {
    if (this.#isLost) {
      this.#lose()
      return
    }
    if (!this.#isOn && !this.session) this.fate.warn('no-return')
    this.#isOn = true
    this.#tries = 0
    this.#lastGood = this.room.clock.now()
    this.#blocked = 0
    if (this.session) this.resumes += 1
    this.room.scheduler.add(this)
    this.fate.changed()
  }

  halt(): void {
    this.#isOn = false
    this.breakOff()
    this.room.scheduler.remove(this)
  }

  breakOff(): void {
    const stop = this.#stop
    this.#stop = new AbortController()
    if (this.flights.size) this.#mustAsk = true
    this.flights.clear()
    stop.abort(STOPPED)
    this.speed.stop()
  }

  reconnected(): void {
    this.#tries = 0
    this.#blocked = 0
    this.room.scheduler.wake()
  }

  /** What was sent is not here any more: a stream cannot begin anew. */
  forget(): void {
    this.#isLost ||= this.#start > 0
    this.session = undefined
    this.#claim.renew()
  }

  reopen(): void {
    this.#isLost = true
    this.#lose()
  }

  close(): void {
    this.#isOn = false
    void this.#reader.cancel().catch(() => undefined) // it may have broken by itself
  }

  /** Nothing is kept of a stream that an upload could be adopted for. */
  adopt(): void {
    this.reopen()
  }

  async look(): Promise<void> {
    this.reopen()
  }

  next(): Job | null {
    if (!this.#isOn || this.opening || this.flights.size || this.blockedUntil > this.room.clock.now()) return null
    if (!this.session || this.#mustAsk) return this.#alone((signal) => this.#open(signal))
    if (this.#held.length) return this.#fly()
    if (!this.openEnded) return this.#alone((signal) => this.#complete(signal))
    void this.#fill()
    return null
  }

  // -- what comes -------------------------------------------------------------------------------------

  async #fill(): Promise<void> {
    this.#filling = true
    const { clock, scheduler, sizer } = this.room
    const pieces: Uint8Array[] = []
    let late = false
    let cancel = (): void => undefined
    const isLate = new Promise<null>((resolve) => {
      cancel = clock.after(FLUSH, () => {
        late = true
        resolve(null)
      })
    })
    try {
      for (let wanted = sizer.size; wanted > 0; ) {
        const piece = this.#rest ?? (await this.#piece(pieces.length && !late ? isLate : null))
        this.#rest = undefined
        if (!piece) break
        pieces.push(piece.subarray(0, wanted))
        if (piece.length > wanted) this.#rest = piece.subarray(wanted)
        wanted -= piece.length
        if (late) break
      }
    } catch (cause) {
      this.#isLost = true
      this.fate.failed(new UploadError('file-unreadable', `the stream of ${this.#claim.named} broke`, { cause }))
    } finally {
      cancel()
    }
    this.#held = joined(pieces)
    this.size += this.#held.length
    this.#filling = false
    this.fate.changed()
    scheduler.wake()
  }

  /** Null where the stream is at its end, or nothing has come by `isLate`: then what comes is taken the next time. */
  async #piece(isLate: Promise<null> | null): Promise<Uint8Array | null> {
    this.#reading ??= this.#reader.read()
    const reading = this.#reading
    const read = await (isLate ? Promise.race([reading, isLate]) : reading)
    if (!read) return null
    this.#reading = undefined
    if (read.done) this.openEnded = false
    return read.value ?? null
  }

  // -- requests ---------------------------------------------------------------------------------------

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
    if (!this.session) return this.#begin(signal)
    const standing = await transport.status(this.session, via, signal)
    signal.throwIfAborted()
    const has = new ByteRanges(standing.received)
    if (standing.state === 'receiving' && !has.covers(0, this.#start)) return this.reopen()
    if (['failed', 'cancelled', 'expired'].includes(standing.state)) {
      throw new UploadError(standing.state as 'failed', standing.failure ?? `the upload is ${standing.state}`)
    }
    this.#mustAsk = false
    const hole = has.holes(this.#start, this.#start + this.#held.length)[0]
    this.#stored((hole ? hole[0] : this.#start + this.#held.length) - this.#start)
    if (standing.state !== 'receiving') this.fate.sealed(standing)
  }

  async #begin(signal: AbortSignal): Promise<void> {
    const { transport, via, options, sizer } = this.room
    const claim = this.#claim
    for (;;) {
      const info = { name: claim.name, size: null, type: this.type, meta: this.meta, key: claim.key }
      const begun = await transport.create(info, via, signal).catch((error: unknown) => {
        if (error instanceof UploadError && isNameTaken(error)) return error
        throw error
      })
      signal.throwIfAborted()
      if (!(begun instanceof UploadError) && !begun.joined) {
        this.session = begun.session
        if (begun.limits.maxChunk) sizer.cap(begun.limits.maxChunk)
        this.fate.stored()
        return
      }
      if (options.onNameTaken === 'fail' || claim.isSpent) {
        throw new UploadError('name-taken', `the server has another file called ${claim.name}`)
      }
      claim.rename()
    }
  }

  #fly(): Job {
    const { room } = this
    const start = this.#start
    const end = start + Math.min(this.#held.length, room.sizer.size)
    const id = Symbol()
    const { clock, scheduler } = room
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
    const { session, room } = this
    if (!session) return 0
    const { start, end } = flight
    const bytes = this.#held.subarray(0, end - start)
    const source = { name: this.#claim.named, size: end, slice: () => bytes }
    const { body, sha256 } = await this.#bodies.make(source, start, end)
    signal.throwIfAborted()
    const since = room.clock.now()
    const chunk = { start, end, total: null, body, sha256 }
    const ack = await room.transport.put(session, chunk, room.via, signal, (sent) => {
      flight.sent = sent
      this.fate.changed()
    })
    signal.throwIfAborted()
    const now = room.clock.now()
    if (ack.session) this.session = ack.session
    const stored = Math.min(ack.stored, end - start)
    if (stored < end - start) this.#mustAsk = true
    else this.#proven += stored
    this.parts.push({ offset: start, size: stored, sha256: stored === end - start ? sha256 : undefined })
    this.speed.acked(now, stored, since)
    room.speed.acked(now, stored, since)
    room.sizer.acked(end - start, now - since)
    room.scheduler.widen()
    this.failedAt.remove(start, end)
    this.#bodies.went(start)
    this.#stored(stored)
    return stored
  }

  #stored(bytes: number): void {
    this.received.add(0, this.#start + bytes)
    this.#held = this.#held.subarray(bytes)
    this.#start += bytes
    this.#good()
    this.fate.stored()
  }

  async #complete(signal: AbortSignal): Promise<void> {
    const { transport, via } = this.room
    if (!this.session) return
    const proof = { size: this.size, chunks: unitsOf(this.size), openEnded: true }
    this.session = await transport.complete(this.session, proof, via, signal)
    signal.throwIfAborted()
    this.#good()
    this.fate.sealed()
  }

  // -- refusals ---------------------------------------------------------------------------------------

  #good(): void {
    this.#tries = 0
    this.#lastGood = this.room.clock.now()
    this.#blocked = 0
  }

  #refused(thrown: unknown, flight?: Flight): void {
    const { room } = this
    this.#tries += 1
    if (flight) this.failedAt.add(flight.start, flight.end)
    // It may have arrived, and only the answer was lost.
    this.#mustAsk = this.session !== undefined
    const error = faultOf(room, thrown, this.session, flight)
    if (error.code === 'too-large' && flight && error.problem !== 'upload-too-large') {
      if (room.sizer.refused(flight.end - flight.start, error.limit)) {
        this.retries += 1
        this.fate.warn('smaller-chunks', { bytes: error.limit ?? room.sizer.size })
        return
      }
    }
    if (flight && (error.code === 'checksum' || error.code === 'stalled')) this.#bodies.failed(flight.start)
    const pause = pauseAfter(room, error, this.#tries, this.#lastGood)
    if (pause === null) {
      this.fate.failed(error)
      return
    }
    this.retries += 1
    this.#blocked = Math.max(this.#blocked, room.clock.now() + pause)
  }

  #lose(): void {
    this.fate.failed(
      new UploadError('stream-over', 'what was sent is gone from the server, and a stream comes only once'),
    )
  }
}

function joined(pieces: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}
