import type { ErrorCode } from '../../src/core/errors.js'
import type { State } from '../../src/core/types.js'
import inside from '../../src/ui/i18n/en.details.json' with { type: 'json' }
import first from '../../src/ui/i18n/en.json' with { type: 'json' }
import later from '../../src/ui/i18n/en.uploads.json' with { type: 'json' }

/** All that the interface says in English. */
export const english: Record<string, string> = { ...first, ...later, ...inside }

/** Complete by its type: a code that is added to the client lacks here until it has its texts. */
export const CODES: Record<ErrorCode, true> = {
  network: true,
  stalled: true,
  offline: true,
  http: true,
  checksum: true,
  'file-changed': true,
  'file-unreadable': true,
  'too-large': true,
  expired: true,
  auth: true,
  locked: true,
  quota: true,
  conflict: true,
  failed: true,
  'name-taken': true,
  cancelled: true,
  'stream-over': true,
}
export const STATES: Record<State, true> = {
  queued: true,
  preparing: true,
  uploading: true,
  waiting: true,
  paused: true,
  'needs-file': true,
  'needs-permission': true,
  elsewhere: true,
  verifying: true,
  assembling: true,
  checking: true,
  done: true,
  failed: true,
  cancelled: true,
}
