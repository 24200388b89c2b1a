import type { UploadError, Warning } from './errors.js'
import type { Hold } from './handles.js'
import type { House } from './house.js'
import type { Lazy } from './lazy.js'
import { nameOf } from './naming.js'
import { Notifier } from './notifier.js'
import type { Records } from './records.js'
import type { Room } from './room.js'
import type { Channel, Env, Locks, ResumeRecord, Standing, UploadSession } from './seams.js'
import { sourceFrom } from './source.js'
import { eta } from './speed.js'
import type { StreamTransfer } from './stream.js'
import type { Task } from './task.js'
import type {
  AddInput,
  AddOptions,
  CancelOptions,
  Chosen,
  Events,
  Progress,
  Snapshot,
  Source,
  State,
  Uploader,
  UploaderOptions,
  UploadTask,
} from './types.js'

/** Tasks made in one go; more of them would let the page stutter: browsers ask the disk for each file's size. */
const BATCH = 200
const MIRROR_EVERY = 500
const LOAD_AGAIN = 3000

export interface Following {
  watch(session: UploadSession, on: (standing: Standing | UploadError) => void): () => void
}
/** What an uploader is made of. */
export interface Parts {
  readonly env: Env
  readonly room: Room
  readonly records: Records
  /** What one upload is made of: of no use before there is a file. */
  readonly tasks: Lazy<typeof Task>
  /** What a stream is sent by. */
  readonly streams: Lazy<typeof StreamTransfer>
  readonly follower: Lazy<Following>
  /** What a person has chosen or dropped. Reads all that must be read at once before it returns. */
  sourcesOf(input: Chosen): Promise<Source[]>
  readonly channel: Channel
  /** Begins to load what lies in files of its own, while the network is there. */
  prefetch(): void
  close(): Promise<void>
}
type Listeners = { [K in keyof Events]: Set<(event: Events[K]) => void> }

export class Manager implements Uploader, House {
  readonly room: Room
  readonly records: Records
  readonly locks: Locks
  readonly verify: House['verify']
  readonly keepHandles: boolean
  #tasks: Task[] = []
  #kind!: typeof Task
  #isOver = false
  readonly #byId = new Map<string, Task>()
  readonly #unfinished = new Set<Task>()
  readonly #told = new Map<Task, number>()
  readonly #notifier: Notifier
  readonly #on: Listeners = {
    added: new Set(),
    removed: new Set(),
    state: new Set(),
    warning: new Set(),
    connection: new Set(),
  }
  readonly #leave: (() => void)[]
  #snapshot: Snapshot | null = null

  constructor(
    readonly options: UploaderOptions,
    readonly parts: Parts,
  ) {
    const { room, records, env, channel } = parts
    this.room = room
    this.records = records
    this.locks = env.locks
    this.verify = options.verify ?? 'chunk-tree'
    this.keepHandles = options.persist !== 'metadata'
    this.#notifier = new Notifier(env.clock, () => this.#tick())
    this.#snapshot = this.#look()
    this.#leave = [
      env.watchNetwork({ gone: () => room.gate.close(), back: () => room.gate.open() }),
      channel.listen((message) => this.#mirrored(message)),
    ]
  }

  // -- what the page sees -----------------------------------------------------------------------------

  get tasks(): ReadonlyArray<UploadTask> {
    return this.#tasks
  }

  get totals(): Progress {
    return this.getSnapshot().totals
  }

  task(id: string): UploadTask | undefined {
    return this.#byId.get(id)
  }

  subscribe(fn: () => void): () => void {
    return this.#notifier.add(fn)
  }

  getSnapshot(): Snapshot {
    this.#snapshot ??= this.#look()
    return this.#snapshot
  }

  on<K extends keyof Events>(kind: K, fn: (event: Events[K]) => void): () => void {
    this.#on[kind].add(fn)
    return () => this.#on[kind].delete(fn)
  }

  // -- uploads come and go ----------------------------------------------------------------------------

  async add(input: AddInput, options: AddOptions = {}): Promise<UploadTask[]> {
    if ('getReader' in input) return [await this.#stream(input, options)]
    const reading = this.parts.sourcesOf(input)
    this.parts.prefetch()
    const kind = this.parts.tasks.get()
    // Read by now, or failed by now: both are waited for before either counts.
    const [sources] = await Promise.all([reading, kind, this.records.load()])
    this.#kind = await kind
    const added: Task[] = []
    for (let at = 0; at < sources.length; at += BATCH) {
      if (at) await this.#breath()
      const batch: [Task, Source][] = []
      for (const source of sources.slice(at, at + BATCH)) batch.push(await this.#taskFor(sourceFrom(source), options))
      this.#enlist(batch.map(([task]) => task))
      for (const [task, source] of batch) {
        added.push(task)
        if (options.start !== false) this.#begin(task, source)
        else if (!task.transfer.source) {
          task.transfer.source = source
          task.hold('paused')
        }
      }
    }
    return added
  }

  async restore(): Promise<UploadTask[]> {
    this.parts.prefetch()
    const records = await this.records.load(true)
    if (!records.length) return []
    await this.#loaded()
    const holds = await Promise.all(records.map((record) => this.#kind.holdOf(record)))
    if (this.#isOver) return []
    const tasks: Task[] = []
    for (const [at, record] of records.entries()) {
      // Not before now: meanwhile the same may have been asked for again, or the file added.
      if (!this.#byId.has(record.key)) tasks.push(this.#restored(record, holds[at] ?? null))
    }
    this.#enlist(tasks)
    await Promise.all(tasks.map((task) => task.wake()))
    void this.#kind.look(tasks)
    return tasks
  }

  remove(id: string): void {
    const task = this.#byId.get(id)
    if (!task?.over) return
    this.#byId.delete(id)
    this.#told.delete(task)
    this.#tasks = this.#tasks.filter((one) => one !== task)
    this.#emit('removed', { task })
    this.#notifier.mark()
  }

  pauseAll(): void {
    for (const task of this.#tasks) task.pause()
  }

  resumeAll(): void {
    for (const task of this.#tasks) if (!task.over && task.state !== 'elsewhere') task.resume()
  }

  async cancelAll(options?: CancelOptions): Promise<void> {
    const ending: Promise<void>[] = []
    for (const [at, task] of this.#tasks.entries()) {
      if (at && at % BATCH === 0) await this.#breath()
      ending.push(task.cancel(options))
    }
    await Promise.all(ending)
  }

  /** Everything stops, and nothing is lost: what was under way is found again by `restore`. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const task of this.#tasks) task.leave()
    for (const leave of this.#leave) leave()
    this.room.scheduler.stop()
    this.room.gate.stop()
    this.#isOver = true
    this.records.stop()
    this.#notifier.stop()
    this.#guard(false)
    await this.parts.close()
  }

  // -- House ------------------------------------------------------------------------------------------

  watch(session: UploadSession, on: (standing: Standing | UploadError) => void): () => void {
    let stop: (() => void) | null = null
    let wanted = true
    const begin = async (): Promise<void> => {
      try {
        const follower = await this.parts.follower.get()
        if (wanted) stop = follower.watch(session, on)
      } catch {
        if (wanted) this.room.clock.after(LOAD_AGAIN, () => void begin())
      }
    }
    void begin()
    return () => {
      wanted = false
      stop?.()
    }
  }

  changed(task: Task, from?: State): void {
    if (!this.#byId.has(task.id)) return
    const before = this.#unfinished.size
    if (task.unfinished) this.#unfinished.add(task)
    else this.#unfinished.delete(task)
    if (!before !== !this.#unfinished.size) this.#guard(this.#unfinished.size > 0)
    if (from) this.#emit('state', { task, from, to: task.state })
    this.#tell(task)
    this.#notifier.mark()
  }

  warn(task: Task, warning: Warning): void {
    this.#emit('warning', { ...warning, task })
  }

  /** The gate was opened or shut. */
  connectionChanged(): void {
    const { gate, scheduler } = this.room
    for (const { transfer } of this.#unfinished) gate.shut ? transfer.breakOff() : transfer.reconnected()
    for (const task of [...this.#unfinished]) task.changed()
    scheduler.wake()
    this.#emit('connection', gate.connection)
    this.#notifier.mark()
  }

  // -- within -----------------------------------------------------------------------------------------

  /** Nobody waits for what is restored: it may take until the network is back. */
  async #loaded(): Promise<void> {
    const { clock } = this.room
    try {
      this.#kind = await this.parts.tasks.get()
    } catch (error) {
      if (this.#isOver) throw error
      await new Promise<void>((resolve) => void clock.after(LOAD_AGAIN, resolve))
      await this.#loaded()
    }
  }

  /** The page gets its turn. */
  #breath(): Promise<void> {
    return new Promise((resolve) => void this.room.clock.after(0, resolve))
  }

  /** The unfinished upload of this very file, or a new one. */
  async #taskFor(source: Source, options: AddOptions): Promise<[Task, Source]> {
    const record = this.records.match(source)
    const known = record && this.#byId.get(record.key)
    if (known && !known.over) return [known, source]
    if (record && !known) return [this.#restored(record), source]
    const task = new this.#kind(this, {
      key: this.parts.env.id(),
      serverName: (this.options.nameOf ?? nameOf)(source),
      name: source.name,
      relativePath: source.relativePath || undefined,
      size: source.size,
      type: source.type ?? '',
      lastModified: source.lastModified ?? 0,
      meta: options.meta ?? {},
    })
    return [task, source]
  }

  async #stream(stream: ReadableStream<Uint8Array>, options: AddOptions): Promise<Task> {
    this.parts.prefetch()
    const [kind, Transfer] = await Promise.all([this.parts.tasks.get(), this.parts.streams.get()])
    const { name = 'stream', type = '', meta = {} } = options
    const source: Source = { name, size: 0, type, slice: () => new Blob() }
    const serverName = (this.options.nameOf ?? nameOf)(source)
    const subject = { key: this.parts.env.id(), serverName, name, size: 0, type, lastModified: 0, meta }
    const task = new kind(this, subject, (fate) => new Transfer(this.room, stream, serverName, type, meta, fate))
    this.#enlist([task])
    if (options.start !== false) task.start(source)
    else {
      task.transfer.source = source
      task.hold('paused')
    }
    return task
  }

  #restored(record: ResumeRecord, hold: Hold | null = null): Task {
    const { key, name, relativePath, size, type, lastModified, meta } = record
    const serverName = (this.options.nameOf ?? nameOf)({ name, relativePath, size, type, slice: () => new Blob() })
    const task = new this.#kind(this, { key, serverName, name, relativePath, size, type, lastModified, meta })
    task.restore(record, hold)
    return task
  }

  #begin(task: Task, source: Source): void {
    if (task.transfer.source) return
    if (!task.record) task.start(source)
    else void task.attach(source).then((answer) => answer === 'match' || task.over || task.renew(source))
  }

  #enlist(tasks: Task[]): void {
    const fresh = tasks.filter((task) => !this.#byId.has(task.id))
    if (!fresh.length) return
    for (const task of fresh) this.#byId.set(task.id, task)
    this.#tasks = [...this.#tasks, ...fresh]
    this.#emit('added', { tasks: fresh })
    for (const task of fresh) task.changed()
  }

  #guard(on: boolean): void {
    const { env } = this.parts
    if (this.options.warnOnLeave !== false) env.warnOnLeave(on)
    if (this.options.keepAwake !== false) env.keepAwake(on)
  }

  /** Half a second later speeds have fallen, even if nothing has happened. */
  #tick(): boolean {
    let moving = false
    for (const task of this.#unfinished) {
      if (!task.transfer.flights.size) continue
      task.age()
      moving = true
    }
    this.#snapshot = null
    return moving
  }

  #look(): Snapshot {
    const sum = { acked: 0, inFlight: 0, total: 0, resumes: 0, retries: 0, resentBytes: 0 }
    const counts: Partial<Record<State, number>> = {}
    const tasks = this.#tasks.map((task) => task.view)
    for (const { state, progress } of tasks) {
      counts[state] = (counts[state] ?? 0) + 1
      if (state === 'cancelled') continue
      // One by one: this is done for ten thousand of them, ten times a second.
      sum.acked += progress.acked
      sum.inFlight += progress.inFlight
      sum.total += progress.total
      sum.resumes += progress.resumes
      sum.retries += progress.retries
      sum.resentBytes += progress.resentBytes
    }
    const bytesPerSecond = this.#unfinished.size ? this.room.speed.perSecond(this.room.clock.now()) : 0
    const totals = { ...sum, bytesPerSecond, etaSeconds: eta(sum.total - sum.acked, bytesPerSecond) }
    return { tasks, totals, counts, connection: this.room.gate.connection }
  }

  #emit<K extends keyof Events>(kind: K, event: Events[K]): void {
    for (const fn of this.#on[kind]) fn(event)
  }

  /** Other tabs are told how far uploads are that they may know of. */
  #tell(task: Task): void {
    const now = this.room.clock.now()
    const last = this.#told.get(task)
    if (!task.mine || (!task.record && last === undefined)) return
    if (!task.over && last !== undefined && now - last < MIRROR_EVERY) return
    this.#told.set(task, now)
    this.parts.channel.post({
      id: task.id,
      acked: task.transfer.received.total,
      end: task.over ? task.state : undefined,
    })
  }

  #mirrored(message: unknown): void {
    const said = message as { id?: unknown; acked?: unknown; end?: unknown }
    if (typeof said?.id !== 'string' || typeof said.acked !== 'number') return
    this.#byId.get(said.id)?.mirror(said.acked, typeof said.end === 'string' ? said.end : undefined)
  }
}
