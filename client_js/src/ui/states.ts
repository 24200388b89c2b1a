/** Which states belong together, and how far uploads are on the whole. */

import type { State, UploadTask } from '../core/types.js'

/** States in which an upload still has something to do by itself. */
export const ACTIVE: ReadonlySet<State> = new Set<State>([
  'queued',
  'preparing',
  'uploading',
  'waiting',
  'verifying',
  'assembling',
  'checking',
])
/** States that a reload leaves behind, for somebody to decide on. */
export const UNFINISHED: ReadonlySet<State> = new Set<State>(['needs-file', 'needs-permission'])
/** States that nothing follows by itself. */
export const ENDED: ReadonlySet<State> = new Set<State>(['done', 'failed', 'cancelled'])

/** How much of all these uploads is on the server, as one share. */
export function shareOfAll(tasks: readonly UploadTask[]): number {
  let acked = 0
  let total = 0
  for (const { view } of tasks) {
    acked += view.state === 'done' ? view.size : view.progress.acked
    total += view.size
  }
  return total > 0 ? acked / total : 0
}
