import type { UploadError } from './errors.js'
import type { Source } from './types.js'

const TAKEN = 'name-taken length-conflict digest-conflict layout-conflict numbered-layout already-complete'.split(' ')
const MOST_BYTES = 240

/** Refusals of a creation that another name helps against: a stranger's file has this one. */
export function isNameTaken(error: UploadError): boolean {
  return TAKEN.includes(error.problem ?? '')
}

/** `film (2).mkv` for `film.mkv`. */
export function numbered(name: string, number: number): string {
  const dot = name.lastIndexOf('.')
  const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, '']
  return `${stem} (${number})${extension}`
}

/** What the server calls a file if the page does not say: its path with `/` made `__`, in what the server takes as a name. */
export function nameOf(source: Source): string {
  const unfit = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Cn}\u200e\u200f\u202a-\u202e\u2066-\u2069\\]/gu
  const path = (source.relativePath || source.name).replace(/^\/+/, '').replace(/\//g, '__').replace(unfit, '_')
  const name = shortened(path.normalize('NFC'))
  return /^(|\.|\.\.|complete)$/i.test(name) ? `${name || 'file'}_` : name
}

/** The end of a name is kept: it says what kind of file this is. */
function shortened(name: string): string {
  const encoder = new TextEncoder()
  const chars = [...name]
  while (encoder.encode(chars.join('')).length > MOST_BYTES) chars.splice(Math.floor(chars.length / 2), 1)
  return chars.join('')
}
