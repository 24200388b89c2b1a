import type { UploadError, Warning } from './errors.js'
import type { Records } from './records.js'
import type { Room } from './room.js'
import type { Locks, Meta, Standing, UploadSession } from './seams.js'
import type { State, UploadTask } from './types.js'

/** What a task asks of its uploader. */
export interface House {
  readonly room: Room
  readonly records: Records
  readonly locks: Locks
  readonly verify: 'chunk-tree' | 'whole-file' | false
  readonly keepHandles: boolean
  watch(session: UploadSession, on: (standing: Standing | UploadError) => void): () => void
  changed(task: UploadTask, from?: State): void
  warn(task: UploadTask, warning: Warning): void
}
/** What an upload is of. */
export interface Subject {
  readonly key: string
  readonly serverName: string
  readonly name: string
  readonly relativePath?: string
  readonly size: number
  readonly type: string
  readonly lastModified: number
  readonly meta: Meta
}
