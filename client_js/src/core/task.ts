import { UploadError, type Warning, type WarningCode, type WarningFacts } from './errors.js'
import { fileOf, type Hold, holdOf } from './handles.js'
import { TabLock } from './hold.js'
import type { House, Subject } from './house.js'
import { bitmap } from './map.js'
import type { Moving } from './moving.js'
import { warningOf } from './notices.js'
import { progressOf, stateOf } from './progress.js'
import { Comparison } from './proof.js'
import { isSame } from './records.js'
import type { Fate } from './room.js'
import type { Part, Ranges, ResumeRecord, Standing } from './seams.js'
import { sourceFrom } from './source.js'
import type {
  CancelOptions,
  Lane,
  Progress,
  Sending,
  Source,
  State,
  TaskView,
  UploadResult,
  UploadTask,
} from './types.js'
import { Transfer } from './upload.js'

type End = 'done' | 'failed' | 'cancelled'
const LOSES_RECORD = new Set(['failed', 'conflict', 'checksum', 'cancelled', 'expired', 'file-changed', 'too-large'])

/** One upload as the page sees it. */
export class Task implements UploadTask, Fate {
  readonly id: string
  readonly name: string
  readonly relativePath?: string
  readonly transfer: Moving
  readonly #lock: TabLock
  record: ResumeRecord | undefined
  error: UploadError | undefined
  result: UploadResult | undefined

  #hold: Hold | null = null
  #end: End | null = null
  #finishing: TaskView['finishing']
  #sealed = false
  readonly #comparison = new Comparison()
  /** Outlives the record, so that what has expired can begin anew. */
  #handle: FileSystemFileHandle | undefined
  #started = false
  #state: State = 'queued'
  #view: TaskView | null = null
  #warning: Warning | undefined
  #mirrored: number | undefined
  #unwatch: () => void = () => undefined
  #settle!: { resolve(result: UploadResult): void; reject(error: UploadError): void }
  #done!: Promise<UploadResult>

  constructor(
    readonly house: House,
    readonly subject: Subject,
    streamed?: (fate: Fate) => Moving,
  ) {
    const { key, serverName, name, size, type, meta } = subject
    this.id = key
    this.name = name
    this.relativePath = subject.relativePath
    const told = subject.relativePath ? { relativePath: subject.relativePath, ...meta } : meta
    this.transfer = streamed?.(this) ?? new Transfer(house.room, serverName, size, type, told, this)
    this.#lock = new TabLock(house.locks, `onward:${key}`, () => this.#lost())
    this.#promise()
  }

  get done(): Promise<UploadResult> {
    return this.#done
  }

  get state(): State {
    return this.#state
  }

  get received(): Ranges {
    return this.transfer.received.list
  }

  get parts(): ReadonlyArray<Part> {
    return this.transfer.parts
  }

  get history(): ReadonlyArray<Sending> {
    return this.transfer.history.list
  }

  get lanes(): ReadonlyArray<Lane> {
    return [...this.transfer.flights.values()]
  }

  /** Bytes may still have to be sent: the page should not be left. */
  get unfinished(): boolean {
    return !this.#end && !this.#hold && !this.#sealed
  }

  /** Nobody has given its file again. */
  get lacksFile(): boolean {
    return this.#hold === 'needs-file' || this.#hold === 'needs-permission'
  }

  /** This tab is the one to tell how far it is. */
  get mine(): boolean {
    return !this.#hold || this.#hold === 'paused'
  }

  get over(): boolean {
    return this.#end !== null
  }

  get progress(): Progress {
    const { transfer } = this
    const acked = this.#sealed || this.#end === 'done' ? transfer.size : (this.#mirrored ?? transfer.received.total)
    return progressOf(transfer, acked, this.unfinished)
  }

  get view(): TaskView {
    const { subject, transfer } = this
    this.#view ??= {
      id: this.id,
      name: this.name,
      relativePath: this.relativePath,
      size: transfer.size,
      openEnded: transfer.openEnded,
      type: subject.type,
      state: this.#state,
      progress: this.progress,
      finishing: this.#finishing,
      error: this.error,
      warning: this.#warning,
      retryAt:
        this.#state === 'waiting' ? (this.house.room.gate.connection.retryAt ?? transfer.blockedUntil) : undefined,
      result: this.result,
    }
    return this.#view
  }

  bitmap(cells: number): Uint8Array {
    const { received, parts, resent, failedAt } = this.transfer
    const facts = { size: this.transfer.size, received: received.list, parts, lanes: this.lanes }
    return bitmap({ ...facts, resent: resent.list, failed: failedAt.list }, cells)
  }

  // -- commands ---------------------------------------------------------------------------------------

  start(source: Source): void {
    this.transfer.source = source
    this.#started = true
    this.#hold = null
    this.transfer.start()
    this.changed()
  }

  pause(): void {
    if (this.#end || this.#hold || (this.#sealed && !this.#comparison.claim)) return
    this.#comparison.stop()
    this.#hold = 'paused'
    this.transfer.halt()
    this.changed()
  }

  resume(): void {
    const { gate } = this.house.room
    gate.open()
    if (this.#end === 'failed') this.#again()
    else if (this.#hold === 'elsewhere') void this.activate(true)
    else if (this.#hold === 'needs-permission') void this.#fromHandle(true)
    else if (this.#hold === 'paused' || this.#state === 'waiting') {
      if (this.#comparison.claim) void this.#conclude(this.#comparison.claim)
      else if (this.transfer.source) this.start(this.transfer.source)
      else this.hold('needs-file')
    }
  }

  async cancel(options: CancelOptions = {}): Promise<void> {
    if (this.#end) return
    const { session } = this.transfer
    const sealed = this.#sealed
    this.#finish('cancelled', new UploadError('cancelled', `${this.name} was cancelled`))
    if (!session || options.deleteOnServer === false || sealed) return
    const { transport, via } = this.house.room
    try {
      await transport.remove(session, via, new AbortController().signal)
    } catch {
      this.warn('not-told')
    }
  }

  async attach(given: Source): Promise<'match' | 'mismatch'> {
    const file = sourceFrom(given)
    if (!isSame(this.subject, file)) return 'mismatch'
    const { first } = this.transfer
    const { hasher } = this.house.room
    if (first?.sha256 && hasher) {
      const begins = async (): Promise<string> => hasher.digest(await file.slice(0, first.size))
      if ((await begins().catch(() => '')) !== first.sha256) return 'mismatch'
    }
    this.transfer.source = file
    await this.activate(false)
    return 'match'
  }

  /** The page goes; what is here is found again by its record. */
  leave(): void {
    this.#comparison.stop()
    this.transfer.halt()
    this.transfer.close?.()
    this.#unwatch()
    this.#lock.release()
  }

  /** Speeds fall although nothing happens. */
  age(): void {
    this.#view = null
  }

  // -- restored uploads -------------------------------------------------------------------------------

  /** What holds up an upload that an earlier page has left: known before there is a row of it, so that none changes. */
  static readonly holdOf = holdOf

  /** Takes over what an earlier page has left. */
  restore(record: ResumeRecord, hold: Hold | null): void {
    this.record = record
    this.transfer.adopt(record.session, record.first)
    this.#mirrored = record.acked
    this.#handle = record.handle
    this.#sealed = record.sealed
    this.#hold = hold
    this.changed()
  }

  /** Asks for each that lacks its file how it stands by now: two at a time, among all other requests. */
  static async look(tasks: Iterable<Task>): Promise<void> {
    const rest = [...tasks]
    const lane = async (): Promise<void> => {
      for (let task = rest.shift(); task; task = rest.shift()) if (task.lacksFile) await task.transfer.look()
    }
    await Promise.all([lane(), lane()])
  }

  hold(hold: Hold): void {
    this.#hold = hold
    this.changed()
  }

  /** Goes on here, unless another tab has it; with `steal` it is taken from that. */
  async activate(steal: boolean): Promise<void> {
    if (!(await this.#lock.take(steal))) return this.hold('elsewhere')
    if (this.#end) return
    this.#hold = null
    if (this.record?.sealed) return this.sealed()
    const { source } = this.transfer
    if (source) this.start(source)
    else if (this.#handle) await this.#fromHandle(false)
    else this.hold('needs-file')
  }

  /** What can be done at once after a reload is done; for the rest a person is needed. */
  async wake(): Promise<void> {
    if (this.record?.sealed) return this.activate(false)
    if (!(await this.#lock.take(false))) return this.hold('elsewhere')
    await this.#fromHandle(false)
    if (this.#hold) this.#lock.release()
  }

  /** Reads the file by its handle; `ask` only in answer to a click. */
  async #fromHandle(ask: boolean): Promise<void> {
    const handle = this.#handle
    if (!handle) return this.hold('needs-file')
    const file = await fileOf(handle, ask)
    if (file === 'not-allowed') return this.hold('needs-permission')
    if (file === 'gone') this.warn('file-gone', { name: this.name })
    else if ((await this.attach(sourceFrom(file, { handle, relativePath: this.relativePath }))) === 'match') return
    else this.warn('file-changed', { name: this.name })
    this.hold('needs-file')
  }

  /** The record is of another file, which only looks like this one. */
  renew(source: Source): void {
    this.#drop()
    this.transfer.forget()
    this.start(source)
    this.warn('other-file', { name: this.name })
  }

  #lost(): void {
    if (this.#end) return
    this.transfer.halt()
    this.#unwatch()
    this.hold('elsewhere')
  }

  /** What the tab tells that has this upload. */
  mirror(acked: number, end: string | undefined): void {
    if (this.#hold !== 'elsewhere') return
    this.#mirrored = acked
    if (end === 'done') this.#finish('done', undefined, { id: '', url: '', size: this.subject.size, verified: false })
    else if (end) this.#finish('cancelled', new UploadError('cancelled', `${this.name} has ended in another tab`))
    this.changed()
  }

  // -- what becomes of it -----------------------------------------------------------------------------

  changed(): void {
    this.#view = null
    const from = this.#state
    this.#state = this.#derive()
    this.house.changed(this, from === this.#state ? undefined : from)
  }

  stored(): void {
    this.#mirrored = undefined
    this.#sealed = false
    if (!this.#hold) this.#save(false)
    this.changed()
  }

  warn(code: WarningCode, facts: WarningFacts = {}): void {
    this.#warning = warningOf(code, facts)
    if (!this.transfer.session) this.#drop()
    this.house.warn(this, this.#warning)
    this.changed()
  }

  sealed(standing?: Standing): void {
    this.#sealed = true
    this.#hold = null
    this.house.room.scheduler.remove(this.transfer)
    this.#save(true)
    const { session } = this.transfer
    if (standing?.state === 'done') this.#heard(standing)
    else if (session?.status) this.#unwatch = this.house.watch(session, (standing) => this.#heard(standing))
    else if (session) void this.#conclude({ url: session.url, size: this.transfer.size })
    this.changed()
  }

  failed(error: UploadError): void {
    if (LOSES_RECORD.has(error.code)) this.#drop()
    this.#finish('failed', error)
  }

  #heard(said: Standing | UploadError): void {
    const { transfer } = this
    if (said instanceof UploadError) this.failed(said)
    else if (said.state === 'done') {
      void this.#conclude(said.result ?? { url: transfer.session?.url ?? '', size: transfer.size })
    } else if (said.state === 'receiving') {
      this.#sealed = false
      this.#finishing = undefined
      this.warn('damaged')
      if (transfer.source) transfer.reopen()
      else this.hold('needs-file')
    } else if (said.state === 'assembling' || said.state === 'verifying') {
      this.#finishing = said.finishing ?? this.#finishing
      this.changed()
    } else this.failed(new UploadError('failed', said.failure ?? `the upload is ${said.state}`))
  }

  /** A difference fails the upload; nothing begins anew by itself. */
  async #conclude(result: NonNullable<Standing['result']>): Promise<void> {
    const { transfer, house, subject } = this
    const { source, first, proven } = transfer
    const { name } = subject
    const { size } = transfer
    const known = first?.size === size ? first.sha256 : undefined
    const evidence = { name, size, source, hasher: house.room.hasher, known, proven, verify: house.verify }
    this.#hold = null
    try {
      const proof = await this.#comparison.run(transfer.session?.id ?? '', result, evidence, (checking) => {
        this.#finishing = checking
        this.changed()
      })
      if (proof) this.#finish('done', undefined, proof)
    } catch (error) {
      this.failed(error instanceof UploadError ? error : new UploadError('file-unreadable', String(error)))
    }
  }

  #finish(end: End, error?: UploadError, result?: UploadResult): void {
    if (this.#end) return
    this.#end = end
    this.error = error
    this.result = result
    this.#hold = null
    this.#comparison.claim = undefined
    this.#comparison.stop()
    this.transfer.halt()
    this.#unwatch()
    if (end !== 'failed') {
      this.#drop()
      this.transfer.close?.()
    }
    this.#lock.release()
    if (result) this.#settle.resolve(result)
    else if (error) this.#settle.reject(error)
    this.changed()
  }

  /** A person wants another try of what has failed. */
  #again(): void {
    this.#end = null
    const { code } = this.error ?? {}
    this.error = undefined
    this.#promise()
    if (code && LOSES_RECORD.has(code)) this.transfer.forget()
    this.#sealed = false
    if (this.transfer.source) this.start(this.transfer.source)
    else void this.#fromHandle(true)
  }

  #derive(): State {
    if (this.#end) return this.#end
    if (this.#hold) return this.#hold
    if (this.#sealed) return this.#finishing?.phase ?? 'verifying'
    return this.#started ? stateOf(this.transfer, this.house.room) : 'queued'
  }

  #promise(): void {
    this.#done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.#done.catch(() => undefined)
  }

  /** Only what takes more than one request is worth coming back to. */
  #save(sealed: boolean): void {
    const { transfer, subject, house, record } = this
    const { session, source, first } = transfer
    if (!session || (!record && !sealed && subject.size <= house.room.sizer.size)) return
    if (sealed && !record) return
    const handle = house.keepHandles ? (source?.handle ?? record?.handle) : undefined
    const { key, name, relativePath, size, type, lastModified, meta } = subject
    const about = { ...house.records.own, key, name, relativePath, size, type, lastModified, meta }
    const createdAt = record?.createdAt ?? house.room.clock.now()
    this.record = { ...about, createdAt, session, acked: transfer.received.total, first, sealed, handle }
    house.records.save(this.record, sealed || (!!first && !record?.first))
    void this.#lock.take(false)
  }

  #drop(): void {
    this.record = undefined
    this.house.records.drop(this.id)
  }
}
