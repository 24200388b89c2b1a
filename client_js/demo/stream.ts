/** Server-sent events with a header of ours, which a browser's `EventSource` cannot send. */

import { eventsIn } from '../src/net/events.js'
import { fetchStream } from '../src/net/fetch.js'

const AGAIN = 2000

export interface FollowOptions {
  readonly headers: () => Record<string, string>
  readonly onEvent: (name: string, data: unknown) => void
  /** The stream has begun, or has broken off and is asked for again at this time (of `Date.now()`). */
  readonly onLive: (isLive: boolean, againAt?: number) => void
  readonly signal: AbortSignal
}

/**
 * Follows the events at `url` until `signal`, and comes back to where it was when the line breaks. Returns before that
 * only if the server does not let us in any more.
 */
export async function follow(url: string, options: FollowOptions): Promise<void> {
  const { headers, onEvent, onLive, signal } = options
  let last = ''
  while (!signal.aborted) {
    try {
      const since: Record<string, string> = last ? { 'Last-Event-ID': last } : {}
      const request = { method: 'GET', url, headers: { ...headers(), ...since }, credentials: false, signal }
      const { status, text } = await fetchStream(request)
      if (status === 401 || status === 403) return
      if (status === 200) {
        onLive(true)
        for await (const { event, data, id } of eventsIn(text)) {
          last = id ?? last
          onEvent(event, JSON.parse(data))
        }
      }
    } catch (error) {
      if (signal.aborted) return
      // A line that breaks is what this loop is for; anything else is a mistake of ours.
      if (!(error instanceof TypeError)) throw error
    }
    onLive(false, Date.now() + AGAIN)
    await pause(AGAIN, signal)
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
