import type { Ask, Told } from './pool.js'
import { sha256 } from './sha256.js'

/** The worker: one digest for every message. */
interface Scope {
  onmessage: ((event: MessageEvent<Ask>) => void) | null
  postMessage(message: Told): void
}
const scope = globalThis as unknown as Scope

/** What can be stopped: digests of whole files. */
const stops = new Map<number, AbortController>()

scope.onmessage = ({ data: ask }) => {
  const { id } = ask
  if (ask.kind === 'stop') {
    stops.get(id)?.abort()
    return
  }
  const work = ask.kind === 'whole' ? whole(id, ask.data) : sha256.digest(ask.data)
  work?.then(
    (hex) => scope.postMessage({ id, hex }),
    (error: unknown) => {
      const { name, message } = error instanceof Error ? error : new Error(String(error))
      scope.postMessage({ id, error: { name, message } })
    },
  )
}

function whole(id: number, data: Blob): Promise<string> | undefined {
  const stop = new AbortController()
  stops.set(id, stop)
  const onProgress = (done: number): void => scope.postMessage({ id, done })
  return sha256.whole?.(data, { signal: stop.signal, onProgress }).finally(() => stops.delete(id))
}
