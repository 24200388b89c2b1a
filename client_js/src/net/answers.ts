import { judge, retryAfter } from '../core/backoff.js'
import { type ErrorCode, UploadError } from '../core/errors.js'
import type { HttpResponse } from '../core/seams.js'

export type Json = { readonly [key: string]: unknown }

/** The JSON object of an answer; an empty one if there is none. */
export function jsonOf(response: HttpResponse): Json {
  if (!response.text) return {}
  try {
    const value: unknown = JSON.parse(response.text)
    return isObject(value) ? value : {}
  } catch {
    return {} // a proxy's page, say: the status tells enough
  }
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
export const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)

/** A header that is a whole number. */
export function numberIn(response: HttpResponse, header: string): number | undefined {
  const text = response.header(header)
  return text !== null && /^\d+$/.test(text) ? Number(text) : undefined
}

const CODES: Record<string, ErrorCode> = {
  'upload-too-large': 'too-large',
  'part-conflict': 'conflict',
  'length-conflict': 'conflict',
  'digest-conflict': 'conflict',
  'layout-conflict': 'conflict',
  'numbered-layout': 'conflict',
  'digest-mismatch': 'checksum',
  'upload-failed': 'failed',
  'name-taken': 'name-taken',
}
const STATUSES: Record<number, ErrorCode> = {
  401: 'auth',
  403: 'auth',
  404: 'expired',
  409: 'locked',
  410: 'expired',
  413: 'too-large',
  423: 'locked',
  460: 'checksum',
  507: 'quota',
}

/** The refusal that an answer is. */
export function refusal(response: HttpResponse, now = Date.now()): UploadError {
  const body = jsonOf(response)
  const problem = textOf(body.code)
  const { status } = response
  const state = response.header('Upload-State')?.split(';')[0] ?? textOf(body.reason)
  let code = CODES[problem ?? ''] ?? STATUSES[status] ?? 'http'
  if (status === 410 || problem === 'upload-over') code = 'expired'
  if (code === 'expired' && (state === 'failed' || state === 'cancelled')) code = state
  const retryable = (code === 'locked' && status !== 409) || judge(status, problem ?? '') !== 'final' || status === 460
  const detail = textOf(body.detail) ?? `the server answered ${status}`
  return new UploadError(code, detail, {
    status,
    problem,
    retryable: retryable || (code === 'locked' && problem !== 'incomplete'),
    retryAfterMs: retryAfter(response.header('Retry-After'), now),
    limit: numberOf(body.limit),
  })
}

/** The answer, if its status is one of 2xx. Throws `UploadError`. */
export function taken(response: HttpResponse): HttpResponse {
  if (response.status < 200 || response.status > 299) throw refusal(response)
  return response
}

export function hexToBase64(hex: string): string {
  let bytes = ''
  for (let at = 0; at < hex.length; at += 2) bytes += String.fromCharCode(Number.parseInt(hex.slice(at, at + 2), 16))
  return btoa(bytes)
}
