/** Commands that send a finished file again, whole, with what comes with any machine. Fetched when they are looked at. */

import type { UploadTask } from '../src/core/types.js'
import type { Snippet } from '../src/ui/repeat.js'

/** By tus with one request: it takes the length, the name and the digest at once, and no second request is needed. */
export function repeat(files: string, task: UploadTask): readonly Snippet[] {
  const { name } = task
  const { result, size } = task.view
  const url = new URL(files, location.href).href
  const headers: [string, string][] = [
    ['Tus-Resumable', '1.0.0'],
    ['Content-Type', 'application/offset+octet-stream'],
    ['Upload-Length', String(size)],
    ['Upload-Metadata', `filename ${base64(new TextEncoder().encode(name))}`],
  ]
  if (result?.sha256) headers.push(['Upload-Checksum', `sha256 ${base64(bytesOf(result.sha256))}`])
  return [
    { tool: 'curl', text: curl(name, url, headers) },
    { tool: 'Python', text: python(name, url, headers) },
  ]
}

function curl(name: string, url: string, headers: readonly [string, string][]): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
  const lines = [
    // A name that begins with a dash would be an option, one in braces a pattern.
    `curl -fsS -g -D - -X POST -T ${quoted(`./${name}`)}`,
    ...headers.map(([key, value]) => `  -H ${quoted(`${key}: ${value}`)}`),
    `  ${quoted(url)}`,
  ]
  return lines.join(' \\\n')
}

function python(name: string, url: string, headers: readonly [string, string][]): string {
  const quoted = (text: string) => JSON.stringify(text) // which is a string of Python, too
  return [
    'import urllib.request',
    '',
    `with open(${quoted(name)}, "rb") as file:`,
    '    headers = {',
    ...headers.map(([key, value]) => `        ${quoted(key)}: ${quoted(value)},`),
    `        "Content-Length": ${quoted(headers.find(([key]) => key === 'Upload-Length')?.[1] ?? '0')},`,
    '    }',
    `    request = urllib.request.Request(${quoted(url)}, file, headers, method="POST")`,
    '    print(urllib.request.urlopen(request).headers["Location"])',
  ].join('\n')
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}
