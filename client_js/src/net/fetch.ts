import type { HttpClient, HttpRequest } from '../core/seams.js'

/** For where there is no `XMLHttpRequest`: Node, Deno, Bun. A body's progress is not told, only its end. */
export const fetchClient: HttpClient = {
  async send(request) {
    const response = await fetch(request.url, initOf(request))
    const text = await response.text()
    if (request.body instanceof Blob) request.onProgress?.(request.body.size)
    return { status: response.status, text, header: (name) => response.headers.get(name) }
  },
  stream: fetchStream,
}

export async function fetchStream(request: HttpRequest): Promise<{ status: number; text: AsyncIterable<string> }> {
  const response = await fetch(request.url, initOf(request))
  return { status: response.status, text: texts(response) }
}

function initOf(request: HttpRequest): RequestInit {
  const { method, headers, body, signal, credentials } = request
  return { method, headers, body, signal, credentials: credentials ? 'include' : 'same-origin', cache: 'no-store' }
}

async function* texts(response: Response): AsyncGenerator<string> {
  const reader = response.body?.getReader()
  if (!reader) return
  const decoder = new TextDecoder()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield decoder.decode(value, { stream: true })
    }
  } finally {
    await reader.cancel().catch(() => undefined) // it may be broken already
  }
}
