import type {
  Ack,
  Caller,
  Chunk,
  HttpRequest,
  Proof,
  SourceInfo,
  Standing,
  Transport,
  UploadSession,
} from '../core/seams.js'
import { hexToBase64, taken } from '../net/answers.js'
import { encodeMetadata } from './metadata.js'
import { ackOf, monitored, sessionAt, standingAt } from './sequential.js'

const BYTES = 'application/offset+octet-stream'

/** tus 1.0, to any server that speaks it. */
export class TusTransport implements Transport {
  readonly outOfOrder = false

  constructor(readonly endpoint: string) {}

  async create(info: SourceInfo, via: Caller, signal: AbortSignal) {
    const words = { ...info.meta, filename: info.name, ...(info.type && { filetype: info.type }) }
    const answer = taken(
      await send(via, signal, 'POST', this.endpoint, {
        ...(info.size === null ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(info.size) }),
        'Upload-Metadata': encodeMetadata(words),
        'Idempotency-Key': `"${info.key}"`,
      }),
    )
    return { session: sessionAt(answer, this.endpoint), limits: {}, joined: false }
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
    const headers: Record<string, string> = { 'Content-Type': BYTES, 'Upload-Offset': String(chunk.start) }
    if (chunk.sha256) headers['Upload-Checksum'] = `sha256 ${hexToBase64(chunk.sha256)}`
    const answer = taken(await send(via, signal, 'PATCH', session.url, headers, { body: chunk.body, onProgress }))
    return ackOf(answer, chunk.start, chunk.end, monitored(answer, session))
  }

  async complete(session: UploadSession, proof: Proof, via: Caller, signal: AbortSignal): Promise<UploadSession> {
    if (session.status) return session
    // Nothing at the end of a complete upload: the answer says where it is followed.
    const headers: Record<string, string> = { 'Content-Type': BYTES, 'Upload-Offset': String(proof.size) }
    if (proof.openEnded) headers['Upload-Length'] = String(proof.size)
    const answer = taken(await send(via, signal, 'PATCH', session.url, headers))
    return monitored(answer, session) ?? session
  }

  async remove(session: UploadSession, via: Caller, signal: AbortSignal): Promise<void> {
    taken(await send(via, signal, 'DELETE', session.url, {}))
  }
}

function send(
  via: Caller,
  signal: AbortSignal,
  method: string,
  url: string,
  headers: Record<string, string>,
  more: Pick<HttpRequest, 'body' | 'onProgress'> = {},
) {
  return via.call({ method, url, headers: { 'Tus-Resumable': '1.0.0', ...headers }, ...more }, signal)
}
