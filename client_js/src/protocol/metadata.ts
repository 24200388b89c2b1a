import type { Meta } from '../core/seams.js'

/** `Upload-Metadata`: pairs of a key and base64. A key that has no form there is left out. */
export function encodeMetadata(words: Meta): string {
  const pairs = Object.entries(words).filter(([key]) => /^[^\p{Cc}\s,]+$/u.test(key))
  return pairs.map(([key, value]) => `${key} ${textToBase64(value)}`.trim()).join(',')
}

function textToBase64(text: string): string {
  let bytes = ''
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte)
  return btoa(bytes)
}
