/** Server-sent events with a header of ours, which a browser's `EventSource` cannot send. */

export interface StreamEvent {
  readonly name: string
  readonly data: string
}

/** Cuts text as it comes into events; keeps what is not whole yet, and the last id. */
export class EventParser {
  lastId = ''
  #rest = ''

  push(text: string): StreamEvent[] {
    const blocks = (this.#rest + text).split('\n\n')
    this.#rest = blocks.pop() ?? ''
    const events: StreamEvent[] = []
    for (const block of blocks) {
      let name = 'message'
      const data: string[] = []
      for (const line of block.split('\n')) {
        const at = line.indexOf(':')
        if (at < 1) continue
        const value = line.slice(at + 1).replace(/^ /, '')
        const field = line.slice(0, at)
        if (field === 'event') name = value
        else if (field === 'data') data.push(value)
        else if (field === 'id') this.lastId = value
      }
      if (data.length > 0) events.push({ name, data: data.join('\n') })
    }
    return events
  }
}

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
  const parser = new EventParser()
  while (!signal.aborted) {
    try {
      const lastId: Record<string, string> = parser.lastId ? { 'Last-Event-ID': parser.lastId } : {}
      const response = await fetch(url, { headers: { ...headers(), ...lastId }, signal, cache: 'no-store' })
      if (response.status === 401 || response.status === 403) return
      if (response.ok && response.body) {
        onLive(true)
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
        for (let read = await reader.read(); !read.done; read = await reader.read()) {
          for (const event of parser.push(read.value)) onEvent(event.name, JSON.parse(event.data))
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
