/** Uploaders of several protocols that look like one: new files go to the chosen one, the list shows all. */

import type {
  AddInput,
  AddOptions,
  CancelOptions,
  Connection,
  Events,
  Progress,
  Protocol,
  Snapshot,
  State,
  Uploader,
  UploaderOptions,
  UploadTask,
} from '../src/core/types.js'

type Counts = Partial<Record<State, number>>

export class Several implements Uploader {
  readonly #all: ReadonlyMap<Protocol, Uploader>
  readonly #order = new Map<string, number>()
  #current: Uploader
  #parts: readonly Snapshot[] = []
  #snapshot: Snapshot | undefined
  #tasks: readonly UploadTask[] = []

  constructor(uploaders: ReadonlyMap<Protocol, Uploader>, current: Protocol) {
    this.#all = uploaders
    this.#current = uploaders.get(current) as Uploader
  }

  /** Files that are added from now on are sent this way. */
  choose(protocol: Protocol): void {
    this.#current = this.#all.get(protocol) ?? this.#current
  }

  get options(): UploaderOptions {
    return this.#current.options
  }

  get tasks(): readonly UploadTask[] {
    this.getSnapshot()
    return this.#tasks
  }

  get totals(): Progress {
    return this.getSnapshot().totals
  }

  task(id: string): UploadTask | undefined {
    return this.#find((one) => one.task(id))
  }

  add(input: AddInput, options?: AddOptions): Promise<UploadTask[]> {
    return this.#current.add(input, options)
  }

  async restore(): Promise<UploadTask[]> {
    return (await Promise.all(this.#each((one) => one.restore()))).flat()
  }

  remove(id: string): void {
    this.#find((one) => (one.task(id) ? one : undefined))?.remove(id)
  }

  pauseAll(): void {
    this.#each((one) => one.pauseAll())
  }

  resumeAll(): void {
    this.#each((one) => one.resumeAll())
  }

  async cancelAll(options?: CancelOptions): Promise<void> {
    await Promise.all(this.#each((one) => one.cancelAll(options)))
  }

  subscribe(fn: () => void): () => void {
    const offs = this.#each((one) => one.subscribe(fn))
    return () => {
      for (const off of offs) off()
    }
  }

  on<K extends keyof Events>(kind: K, fn: (event: Events[K]) => void): () => void {
    const offs = this.#each((one) => one.on(kind, fn))
    return () => {
      for (const off of offs) off()
    }
  }

  getSnapshot(): Snapshot {
    const parts = this.#each((one) => one.getSnapshot())
    if (!this.#snapshot || parts.some((part, at) => part !== this.#parts[at])) {
      this.#parts = parts
      this.#tasks = this.#sorted()
      this.#snapshot = {
        tasks: this.#tasks.map((task) => task.view),
        totals: parts.map((part) => part.totals).reduce(sum),
        counts: parts.map((part) => part.counts).reduce(count, {}),
        connection: parts.map((part) => part.connection).reduce(worse),
      }
    }
    return this.#snapshot
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#each((one) => one[Symbol.asyncDispose]()))
  }

  /** All uploads as they came, whichever way they go. */
  #sorted(): UploadTask[] {
    const tasks = this.#each((one) => one.tasks).flat()
    for (const { id } of tasks) if (!this.#order.has(id)) this.#order.set(id, this.#order.size)
    return tasks.sort((a, b) => (this.#order.get(a.id) ?? 0) - (this.#order.get(b.id) ?? 0))
  }

  #each<T>(run: (uploader: Uploader) => T): T[] {
    return [...this.#all.values()].map(run)
  }

  #find<T>(look: (uploader: Uploader) => T | undefined): T | undefined {
    for (const one of this.#all.values()) {
      const found = look(one)
      if (found !== undefined) return found
    }
    return undefined
  }
}

function sum(a: Progress, b: Progress): Progress {
  const etas = [a.etaSeconds, b.etaSeconds].filter((eta) => eta !== null)
  return {
    acked: a.acked + b.acked,
    inFlight: a.inFlight + b.inFlight,
    total: a.total + b.total,
    bytesPerSecond: a.bytesPerSecond + b.bytesPerSecond,
    etaSeconds: etas.length > 0 ? Math.max(...etas) : null,
    resumes: a.resumes + b.resumes,
    retries: a.retries + b.retries,
    resentBytes: a.resentBytes + b.resentBytes,
  }
}

function count(all: Counts, counts: Counts): Counts {
  const result = { ...all }
  for (const [state, n] of Object.entries(counts) as [State, number][]) result[state] = (result[state] ?? 0) + n
  return result
}

function worse(a: Connection, b: Connection): Connection {
  return b.state === 'waiting' ? b : a
}
