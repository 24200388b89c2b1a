import { Lazy } from '../core/lazy.js'
import type { Channel, Clock, Env, Locks } from '../core/seams.js'
import { LeaveWarning, WakeLock } from './guards.js'
import { LocalLocks, webLocks } from './locks.js'

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms)
    return () => clearTimeout(timer)
  },
}

/** The surroundings of a page; under Node those parts that exist there. */
export function browserEnv(clock: Clock = systemClock): Env {
  const awake = new WakeLock()
  const leave = new LeaveWarning()
  return {
    clock,
    random: Math.random,
    id: randomId,
    locks: locksOf(clock),
    channel: openChannel,
    watchNetwork({ gone, back }) {
      if (typeof window === 'undefined') return () => undefined
      window.addEventListener('offline', gone)
      window.addEventListener('online', back)
      return () => {
        window.removeEventListener('offline', gone)
        window.removeEventListener('online', back)
      }
    },
    keepAwake: (on) => awake.set(on),
    warnOnLeave: (on) => leave.set(on),
    lanes,
    body: bodyPolicy(),
  }
}

/** `crypto.randomUUID` is missing on plain http. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function locksOf(clock: Clock): Locks {
  if (typeof document === 'undefined') return new LocalLocks()
  if (navigator.locks) return webLocks(navigator.locks)
  if (typeof BroadcastChannel === 'undefined') return new LocalLocks()
  const lease = new Lazy(async () => {
    const { LeaseLocks } = await import('./lease.js')
    return new LeaseLocks(openChannel('onward:locks'), clock, randomId())
  })
  return { acquire: async (...args) => (await lease.get()).acquire(...args) }
}

/** Under Node an open channel would keep the process alive; there are no tabs there either. */
function openChannel(name: string): Channel {
  if (typeof document === 'undefined' || typeof BroadcastChannel === 'undefined') {
    return { post: () => undefined, listen: () => () => undefined, close: () => undefined }
  }
  const channel = new BroadcastChannel(name)
  return {
    post: (message) => channel.postMessage(message),
    listen(fn) {
      const heard = (event: MessageEvent): void => fn(event.data)
      channel.addEventListener('message', heard)
      return () => channel.removeEventListener('message', heard)
    },
    close: () => channel.close(),
  }
}

interface Hints {
  connection?: { saveData?: boolean }
  deviceMemory?: number
}

function lanes(): number {
  const { connection, deviceMemory } = (typeof navigator === 'undefined' ? {} : navigator) as Hints
  if (connection?.saveData || (deviceMemory ?? 8) <= 2) return 2
  const [page] = typeof performance === 'undefined' ? [] : performance.getEntriesByType('navigation')
  const protocol = (page as PerformanceNavigationTiming | undefined)?.nextHopProtocol
  // HTTP/1.1 has six connections to a host: one for events, one for all else.
  return protocol === 'h2' || protocol === 'h3' ? 6 : 4
}

/** Safari has hung after the first slice that lies in a file; bytes in memory go through everywhere. */
function bodyPolicy(): Env['body'] {
  const vendor = typeof navigator === 'undefined' ? '' : (navigator.vendor ?? '')
  return /apple/i.test(vendor) ? 'buffer' : 'slice'
}
