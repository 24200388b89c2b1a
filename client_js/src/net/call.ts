import { UploadError } from '../core/errors.js'
import type { Caller, Clock, HttpClient, HttpRequest, HttpResponse } from '../core/seams.js'
import type { HeaderSource } from '../core/types.js'

const AGAIN = 1000
/** That a browser has to a host. */
const CONNECTIONS = 6

export interface CallOptions {
  readonly net: HttpClient
  readonly clock: Clock
  readonly headers?: HeaderSource
  readonly credentials: boolean
  /** No byte and no answer for so long: the request is given up. */
  readonly stallMs: number
}

/** Headers for one request: a page's own, asked for anew every time, over those of the protocol. */
export async function headersFor(
  source: HeaderSource | undefined,
  given: Record<string, string>,
  method: string,
  url: string,
  refresh: boolean,
): Promise<Record<string, string>> {
  const own = typeof source === 'function' ? await source({ method, url, refresh }) : source
  return { ...given, ...own }
}

/**
 * Sends with the page's headers, once again after a 401, and never waits for a connection that has fallen silent. Of
 * requests that are refused together one has the page renew its headers; the others wait for that.
 */
export class HttpCaller implements Caller {
  /** How often headers were renewed. */
  #age = 0
  #renewal: Promise<unknown> | undefined

  constructor(readonly options: CallOptions) {}

  async call(request: Omit<HttpRequest, 'credentials' | 'signal'>, signal: AbortSignal): Promise<HttpResponse> {
    const age = this.#age
    const answer = await this.#once(request, signal, false)
    if (answer.status !== 401) return answer
    const isFirst = age === this.#age
    if (isFirst) this.#age += 1
    return this.#once(request, signal, isFirst)
  }

  /**
   * Whether there is an answer, whatever it says. A question that nothing is heard of is put again each second, on
   * another connection: those that died in silence are found out side by side, and all are closed in the end.
   */
  async reach(url: string): Promise<boolean> {
    const stop = new AbortController()
    let cancel = (): void => undefined
    try {
      return await new Promise<boolean>((resolve) => {
        const ask = (left: number): void => {
          if (left > 0) cancel = this.options.clock.after(AGAIN, () => ask(left - 1))
          this.call({ method: 'HEAD', url, headers: {} }, stop.signal).then(
            () => resolve(true),
            () => resolve(false),
          )
        }
        ask(CONNECTIONS - 1)
      })
    } finally {
      cancel()
      stop.abort()
    }
  }

  async #once(
    request: Omit<HttpRequest, 'credentials' | 'signal'>,
    signal: AbortSignal,
    refresh: boolean,
  ): Promise<HttpResponse> {
    const { net, clock, credentials, stallMs } = this.options
    const headers = await this.#headers(request, refresh)
    signal.throwIfAborted()
    const stop = new AbortController()
    const leave = (): void => stop.abort(signal.reason)
    signal.addEventListener('abort', leave)
    let cancelTimer = (): void => undefined
    const watch = (): void => {
      cancelTimer()
      cancelTimer = clock.after(stallMs, () =>
        stop.abort(new UploadError('stalled', `nothing moved for ${stallMs / 1000} s`, { retryable: true })),
      )
    }
    watch()
    const aborted = new Promise<never>((_, reject) => {
      stop.signal.addEventListener('abort', () => reject(stop.signal.reason))
    })
    const onProgress = (sent: number): void => {
      watch()
      request.onProgress?.(sent)
    }
    try {
      return await Promise.race([
        net.send({ ...request, headers, credentials, signal: stop.signal, onProgress }),
        aborted,
      ])
    } catch (cause) {
      if (stop.signal.aborted) throw stop.signal.reason
      throw new UploadError('network', 'the server cannot be reached', { retryable: true, cause })
    } finally {
      cancelTimer()
      signal.removeEventListener('abort', leave)
      aborted.catch(() => undefined)
    }
  }

  async #headers(request: { headers: Record<string, string>; method: string; url: string }, refresh: boolean) {
    try {
      if (!refresh) await this.#renewal
      const asked = headersFor(this.options.headers, request.headers, request.method, request.url, refresh)
      // Whether it succeeds is told to the one who has asked.
      if (refresh) this.#renewal = asked.catch(() => undefined)
      return await asked
    } catch (cause) {
      throw new UploadError('auth', 'the headers for a request could not be had', { retryable: true, cause })
    }
  }
}
