import { UploadError } from '../core/errors.js'
import type { Ack, Caller, Chunk, Proof, SourceInfo, Standing, Transport, UploadSession } from '../core/seams.js'
import { hexToBase64, isObject, jsonOf, numberOf, taken, textOf } from '../net/answers.js'
import { standingOf } from './manifest.js'

/** The server's own protocol: chunks of any size at any place, in parallel. */
export class ChunkTransport implements Transport {
  readonly outOfOrder = true
  readonly #endpoint: string

  constructor(endpoint: string) {
    this.#endpoint = endpoint.replace(/\/$/, '')
  }

  async create(info: SourceInfo, via: Caller, signal: AbortSignal) {
    const metadata = { ...info.meta, ...(info.type && { filetype: info.type }) }
    const body = JSON.stringify({ name: info.name, size: info.size ?? undefined, metadata })
    const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': `"${info.key}"` }
    const answer = taken(await via.call({ method: 'POST', url: this.#endpoint, headers, body }, signal))
    const said = jsonOf(answer)
    const id = textOf(said.id)
    if (!id) throw new UploadError('http', 'this is not the chunk API: the answer has no id', { status: answer.status })
    const limits = isObject(said.limits) ? said.limits : {}
    const events = isObject(said.urls) ? textOf(said.urls.events) : undefined
    // By id, not by name: nobody who takes the name over later gets bytes of ours.
    const url = `${this.#endpoint}/${id}`
    const session: UploadSession = { id, url, status: url, events }
    return {
      session,
      limits: {
        maxChunk: numberOf(limits.max_chunk),
        maxChunks: numberOf(limits.max_chunks),
        maxSize: numberOf(limits.max_size),
      },
      joined: answer.status === 200,
      standing: answer.status === 200 ? await this.status(session, via, signal) : undefined,
    }
  }

  async status(session: UploadSession, via: Caller, signal: AbortSignal): Promise<Standing> {
    return standingOf(jsonOf(taken(await via.call({ method: 'GET', url: session.url, headers: {} }, signal))))
  }

  async put(
    session: UploadSession,
    chunk: Chunk,
    via: Caller,
    signal: AbortSignal,
    onProgress: (sent: number) => void,
  ): Promise<Ack> {
    const headers: Record<string, string> = {
      'Content-Type': 'application/octet-stream',
      'Upload-Offset': String(chunk.start),
    }
    if (chunk.total !== null) headers['Upload-Length'] = String(chunk.total)
    if (chunk.sha256) headers['Content-Digest'] = `sha-256=:${hexToBase64(chunk.sha256)}:`
    const { body } = chunk
    const answer = taken(await via.call({ method: 'PUT', url: session.url, headers, body, onProgress }, signal))
    if (textOf(jsonOf(answer).id) !== session.id) {
      throw new UploadError('expired', 'the upload is gone; another has begun in its place', { status: answer.status })
    }
    return { stored: chunk.end - chunk.start, again: answer.status === 200 }
  }

  async complete(session: UploadSession, proof: Proof, via: Caller, signal: AbortSignal): Promise<UploadSession> {
    const body = JSON.stringify({
      file_unique_name: session.id,
      total_chunks: proof.chunks,
      size: proof.size,
      sha256: proof.sha256,
    })
    const headers = { 'Content-Type': 'application/json' }
    taken(await via.call({ method: 'POST', url: `${this.#endpoint}/complete`, headers, body }, signal))
    return session
  }

  async remove(session: UploadSession, via: Caller, signal: AbortSignal): Promise<void> {
    taken(await via.call({ method: 'DELETE', url: session.url, headers: {} }, signal))
  }
}
