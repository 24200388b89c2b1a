import { UploadError } from '../core/errors.js'
import type { Caller, Clock, HttpClient, HttpRequest, HttpResponse } from '../core/seams.js'
import type { HeaderSource } from '../core/types.js'

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

/** Sends with the page's headers, once again after a 401, and never waits for a connection that has fallen silent. */
export class HttpCaller implements Caller {
  constructor(readonly options: CallOptions) {}

  async call(request: Omit<HttpRequest, 'credentials' | 'signal'>, signal: AbortSignal): Promise<HttpResponse> {
    const answer = await this.#once(request, signal, false)
    return answer.status === 401 ? this.#once(request, signal, true) : answer
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
      return await headersFor(this.options.headers, request.headers, request.method, request.url, refresh)
    } catch (cause) {
      throw new UploadError('auth', 'the headers for a request could not be had', { retryable: true, cause })
    }
  }
}
