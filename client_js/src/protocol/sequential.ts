import { UploadError } from '../core/errors.js'
import type { Ack, HttpResponse, Standing, UploadSession } from '../core/seams.js'
import { numberIn } from '../net/answers.js'

/** What tus and the draft share: one URL an upload, its bytes in order. */

export function sessionAt(answer: HttpResponse, endpoint: string): UploadSession {
  const location = answer.header('Location')
  if (!location) throw new UploadError('http', 'the answer has no Location', { status: answer.status })
  const url = new URL(location, endpoint).href
  return { id: url.split('/').at(-1) ?? url, url }
}

export function standingAt(answer: HttpResponse): Standing {
  const offset = numberIn(answer, 'Upload-Offset') ?? 0
  return {
    state: 'receiving',
    received: offset ? [[0, offset]] : [],
    parts: [],
    length: numberIn(answer, 'Upload-Length'),
  }
}

export function ackOf(answer: HttpResponse, start: number, end: number, session?: UploadSession): Ack {
  const offset = numberIn(answer, 'Upload-Offset') ?? end
  return { stored: Math.max(0, offset - start), again: false, session }
}

/** An upload that is complete has a page that tells what becomes of it. */
export function monitored(answer: HttpResponse, session: UploadSession): UploadSession | undefined {
  const link = /<([^>]+)>\s*;\s*rel="?monitor"?/.exec(answer.header('Link') ?? '')?.[1]
  if (!link) return undefined
  const status = new URL(link, session.url).href
  return { ...session, status, events: `${status}/events` }
}
