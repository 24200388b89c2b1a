import type { HttpClient, HttpRequest, HttpResponse } from '../core/seams.js'

/** The browser's client: only `XMLHttpRequest` tells how much of a body is on its way. */
export const xhrClient: HttpClient = {
  send(request: HttpRequest): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      const xhr = new XMLHttpRequest()
      const leave = (): void => xhr.abort()
      const end = (): void => request.signal.removeEventListener('abort', leave)
      xhr.open(request.method, request.url)
      xhr.responseType = 'text' // otherwise an empty answer may be parsed as XML
      xhr.withCredentials = request.credentials
      for (const [name, value] of Object.entries(request.headers)) xhr.setRequestHeader(name, value)
      if (request.onProgress && request.body !== undefined) {
        xhr.upload.onprogress = (event) => request.onProgress?.(event.loaded)
      }
      xhr.onload = () => {
        end()
        resolve({ status: xhr.status, text: xhr.responseText, header: (name) => xhr.getResponseHeader(name) })
      }
      xhr.onerror = xhr.onabort = () => {
        end()
        reject(new TypeError(`${request.method} ${request.url} had no answer`))
      }
      request.signal.addEventListener('abort', leave)
      if (request.signal.aborted) xhr.abort()
      else xhr.send(request.body ?? null)
    })
  },
  stream: async (request) => (await import('./fetch.js')).fetchStream(request),
}
