import type {
  Ack,
  Caller,
  Chunk,
  HttpRequest,
  HttpResponse,
  Limits,
  Proof,
  SourceInfo,
  Standing,
  Transport,
  UploadSession,
} from '../core/seams.js'
import { hexToBase64, jsonOf, taken, textOf } from '../net/answers.js'
import { ackOf, monitored, sessionAt, standingAt } from './sequential.js'

const VERSION = '8'
const PARTIAL = 'application/partial-upload'

/** The IETF draft "Resumable Uploads for HTTP", interop version 8. */
export class IetfTransport implements Transport {
  readonly outOfOrder = false

  constructor(readonly endpoint: string) {}

  async create(info: SourceInfo, via: Caller, signal: AbortSignal) {
    const answer = taken(
      await send(via, signal, 'POST', this.endpoint, {
        'Content-Type': info.type || 'application/octet-stream',
        'Content-Disposition': `attachment; filename*=UTF-8''${encode(info.name)}`,
        'Upload-Complete': '?0',
        ...(info.size !== null && { 'Upload-Length': String(info.size) }),
        'Idempotency-Key': `"${info.key}"`,
      }),
    )
    return { session: sessionAt(answer, this.endpoint), limits: limitsOf(answer), joined: false }
  }

  async status(session: UploadSession, via: Caller, signal: AbortSignal): Promise<Standing> {
    return standingAt(taken(await send(via, signal, 'HEAD', session.url, {})))
  }

  async put(
    session: UploadSession,
    chunk: Chunk,
    via: Caller,
    signal: AbortSignal,
    onProgress: (sent: number) => void,
  ): Promise<Ack> {
    const headers: Record<string, string> = {
      'Content-Type': PARTIAL,
      'Upload-Offset': String(chunk.start),
      'Upload-Complete': chunk.end === chunk.total ? '?1' : '?0',
    }
    if (chunk.sha256) headers['Content-Digest'] = `sha-256=:${hexToBase64(chunk.sha256)}:`
    const answer = taken(await send(via, signal, 'PATCH', session.url, headers, { body: chunk.body, onProgress }))
    return ackOf(answer, chunk.start, chunk.end, followed(answer, session))
  }

  async complete(session: UploadSession, proof: Proof, via: Caller, signal: AbortSignal): Promise<UploadSession> {
    if (session.status) return session
    const headers = { 'Content-Type': PARTIAL, 'Upload-Offset': String(proof.size), 'Upload-Complete': '?1' }
    const answer = taken(await send(via, signal, 'PATCH', session.url, headers))
    return followed(answer, session) ?? session
  }

  async remove(session: UploadSession, via: Caller, signal: AbortSignal): Promise<void> {
    taken(await send(via, signal, 'DELETE', session.url, {}))
  }
}

function followed(answer: HttpResponse, session: UploadSession): UploadSession | undefined {
  const { status, events } = jsonOf(answer)
  return textOf(status) ? { ...session, status: textOf(status), events: textOf(events) } : monitored(answer, session)
}

function limitsOf(answer: HttpResponse): Limits {
  const said = answer.header('Upload-Limit') ?? ''
  const number = (name: string): number | undefined => Number(new RegExp(`${name}=(\\d+)`).exec(said)?.[1]) || undefined
  return { maxSize: number('max-size'), maxChunk: number('max-append-size') }
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

function send(
  via: Caller,
  signal: AbortSignal,
  method: string,
  url: string,
  headers: Record<string, string>,
  more: Pick<HttpRequest, 'body' | 'onProgress'> = {},
) {
  return via.call({ method, url, headers: { 'Upload-Draft-Interop-Version': VERSION, ...headers }, ...more }, signal)
}
