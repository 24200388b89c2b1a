/** An uploader that does nothing by itself: a test says how its uploads stand. */

import { UploadError } from '../../src/core/errors.js'
import {
  CELL,
  type Connection,
  type Events,
  type Progress,
  type Snapshot,
  type Source,
  type State,
  type TaskView,
  type Uploader,
  type UploadTask,
} from '../../src/core/types.js'

const NOTHING: Progress = {
  acked: 0,
  inFlight: 0,
  total: 0,
  bytesPerSecond: 0,
  etaSeconds: null,
  resumes: 0,
  retries: 0,
  resentBytes: 0,
}

export class ScriptedTask implements UploadTask {
  view: TaskView
  cells: Uint8Array | undefined
  answer: 'match' | 'mismatch' = 'match'
  lanes: UploadTask['lanes'] = []
  history: UploadTask['history'] = []
  parts: UploadTask['parts'] = []
  readonly calls: string[] = []
  readonly #changed: (from: State) => void

  constructor(view: TaskView, changed: (from: State) => void) {
    this.view = view
    this.#changed = changed
  }

  get id(): string {
    return this.view.id
  }
  get name(): string {
    return this.view.name
  }
  get relativePath(): string | undefined {
    return this.view.relativePath
  }
  get state(): State {
    return this.view.state
  }
  get progress(): Progress {
    return this.view.progress
  }
  get received(): UploadTask['received'] {
    return [[0, this.view.progress.acked]]
  }
  readonly done = new Promise<never>(() => {})

  set(changes: Partial<Omit<TaskView, 'progress'>> & { progress?: Partial<Progress> }): void {
    const from = this.view.state
    this.view = { ...this.view, ...changes, progress: { ...this.view.progress, ...changes.progress } }
    this.#changed(from)
  }
  bitmap(count: number): Uint8Array {
    if (this.cells?.length === count) return this.cells
    const stored = Math.floor((this.view.progress.acked / this.view.size) * count)
    return new Uint8Array(count).fill(CELL.stored, 0, stored)
  }
  pause(): void {
    this.calls.push('pause')
    this.set({ state: 'paused' })
  }
  resume(): void {
    this.calls.push('resume')
    this.set({ state: 'uploading' })
  }
  async cancel(): Promise<void> {
    this.calls.push('cancel')
    this.set({ state: 'cancelled' })
  }
  async attach(): Promise<'match' | 'mismatch'> {
    this.calls.push('attach')
    return this.answer
  }
}

export class ScriptedUploader implements Uploader {
  readonly options = { endpoint: '/upload' }
  tasks: ScriptedTask[] = []
  connection: Connection = { state: 'online' }
  totals: Progress = NOTHING
  readonly added: Source[] = []
  readonly #subscribers = new Set<() => void>()
  readonly #listeners = new Map<string, Set<(event: never) => void>>()
  #snapshot: Snapshot | undefined

  get subscribers(): number {
    return this.#subscribers.size
  }

  put(name: string, size: number, changes: Parameters<ScriptedTask['set']>[0] = {}): ScriptedTask {
    const progress = { ...NOTHING, total: size }
    const view: TaskView = { id: `t${this.tasks.length}`, name, size, type: '', state: 'queued', progress }
    const task: ScriptedTask = new ScriptedTask(view, (from) => {
      this.changed()
      if (from !== task.state) this.#emit('state', { task, from, to: task.state })
    })
    this.tasks = [...this.tasks, task]
    task.set(changes)
    return task
  }
  changed(): void {
    this.#snapshot = undefined
    for (const fn of this.#subscribers) fn()
  }
  async add(input: Iterable<Source>): Promise<ScriptedTask[]> {
    const made = [...input].map((source) => {
      this.added.push(source)
      return this.put(source.name, source.size)
    })
    this.#emit('added', { tasks: made })
    return made
  }
  task(id: string): ScriptedTask | undefined {
    return this.tasks.find((task) => task.id === id)
  }
  async restore(): Promise<ScriptedTask[]> {
    return []
  }
  remove(id: string): void {
    this.tasks = this.tasks.filter((task) => task.id !== id)
    this.changed()
  }
  pauseAll(): void {
    for (const task of this.tasks) task.pause()
  }
  resumeAll(): void {
    for (const task of this.tasks) task.resume()
  }
  async cancelAll(): Promise<void> {
    for (const task of this.tasks) await task.cancel()
  }
  subscribe(fn: () => void): () => void {
    this.#subscribers.add(fn)
    return () => this.#subscribers.delete(fn)
  }
  getSnapshot(): Snapshot {
    if (!this.#snapshot) {
      const counts: Partial<Record<State, number>> = {}
      for (const { state } of this.tasks) counts[state] = (counts[state] ?? 0) + 1
      const tasks = this.tasks.map((task) => task.view)
      this.#snapshot = { tasks, totals: this.totals, counts, connection: this.connection }
    }
    return this.#snapshot
  }
  on<K extends keyof Events>(kind: K, fn: (event: Events[K]) => void): () => void {
    const fns = this.#listeners.get(kind) ?? new Set()
    this.#listeners.set(kind, fns)
    fns.add(fn as (event: never) => void)
    return () => fns.delete(fn as (event: never) => void)
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscribers.clear()
  }
  #emit<K extends keyof Events>(kind: K, event: Events[K]): void {
    for (const fn of this.#listeners.get(kind) ?? []) fn(event as never)
  }
}

export function failure(
  code: UploadError['code'],
  facts: ConstructorParameters<typeof UploadError>[2] = {},
): UploadError {
  return new UploadError(code, `failed: ${code}`, facts)
}
