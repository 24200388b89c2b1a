/** Watches uploads and tells a screen reader what matters: begun, quarters, done, failed, offline and online. */

import type { Connection, State, UploadTask } from '../core/types.js'
import { type Announcer, quarter } from './announcer.js'
import type { Words } from './i18n/index.js'
import { explain } from './phrases.js'
import { ACTIVE, ENDED, UNFINISHED } from './states.js'

const BEGUN: ReadonlySet<State> = new Set<State>(['preparing', 'uploading', 'waiting', 'queued'])

export class News {
  readonly #announcer: Announcer
  readonly #words: Words
  readonly #states = new Map<string, State>()
  /** Uploads that the sentence is about that tells of a beginning. */
  #begun = 0
  #quarter = 0
  #connection: Connection['state'] = 'online'

  /** Of `before` nothing is told that had ended by then. */
  constructor(announcer: Announcer, words: Words, before: readonly UploadTask[] = []) {
    this.#announcer = announcer
    this.#words = words
    for (const task of before) if (ENDED.has(task.state)) this.#states.set(task.id, task.state)
  }

  /** Compares with what was last seen, and tells the difference. */
  update(tasks: readonly UploadTask[], connection: Connection): void {
    this.#connected(connection.state, tasks)
    const begun: UploadTask[] = []
    const resumed: UploadTask[] = []
    let ended = 0
    for (const task of tasks) {
      const before = this.#states.get(task.id)
      const { state } = task
      if (state === before) continue
      this.#states.set(task.id, state)
      const isLeft = before === undefined ? task.progress.acked > 0 : UNFINISHED.has(before)
      if (BEGUN.has(state) && isLeft) resumed.push(task)
      else if (BEGUN.has(state) && before === undefined) begun.push(task)
      if (state === 'done') ended += this.#done(task)
      if (state === 'failed') this.#failed(task)
    }
    if (begun.length > 0) this.#started(begun)
    if (resumed.length > 0) this.#resumed(resumed)
    const active = tasks.filter((task) => ACTIVE.has(task.state))
    if (active.length > 0) {
      this.#progress(active)
      return
    }
    this.#announcer.forget('progress')
    if (ended > 0 && tasks.length > 1) this.#allDone(tasks)
  }

  /** Those that come in batches are counted together, as long as nothing of them has been said. */
  #started(begun: readonly UploadTask[]): void {
    this.#quarter = 0
    this.#begun = (this.#announcer.waits('started') ? this.#begun : 0) + begun.length
    const params = { name: begun[0]?.name ?? '' }
    this.#announcer.tell('started', this.#words.count('aria.started', this.#begun, params))
  }

  #resumed(resumed: readonly UploadTask[]): void {
    const params = { name: resumed[0]?.name ?? '' }
    this.#announcer.tell('resumed', this.#words.count('aria.resumed', resumed.length, params))
  }

  #done(task: UploadTask): 1 {
    this.#announcer.tell('done', this.#words.text('aria.done', { name: task.name }))
    return 1
  }

  #allDone(tasks: readonly UploadTask[]): void {
    const n = tasks.filter((task) => task.state === 'done').length
    if (n > 1) this.#announcer.tell('done', this.#words.text('aria.doneAll', { n }))
  }

  #failed(task: UploadTask): void {
    const { error } = task.view
    const why = error ? explain(error, this.#words) : this.#words.text('error.unknown')
    this.#announcer.tell(`failed ${task.id}`, this.#words.text('aria.failed', { name: task.name, why }), true)
  }

  #progress(active: readonly UploadTask[]): void {
    let acked = 0
    let total = 0
    for (const { progress, view } of active) {
      acked += progress.acked
      total += progress.total || view.size
    }
    const reached = quarter(total > 0 ? acked / total : 0)
    if (reached <= this.#quarter) return
    this.#quarter = reached
    const percent = this.#words.formats.percent(reached / 100)
    const [only] = active
    const said =
      only && active.length === 1
        ? this.#words.text('aria.progressOf', { name: only.name, percent })
        : this.#words.text('aria.progress', { percent })
    this.#announcer.tell('progress', said)
  }

  #connected(state: Connection['state'], tasks: readonly UploadTask[]): void {
    if (state === this.#connection) return
    this.#connection = state
    if (!tasks.some((task) => ACTIVE.has(task.state))) return
    this.#announcer.tell('connection', this.#words.text(state === 'online' ? 'aria.online' : 'aria.offline'), true)
  }
}
