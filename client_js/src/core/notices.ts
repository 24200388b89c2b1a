import type { Warning, WarningCode, WarningFacts } from './errors.js'

const SENTENCES: Readonly<Record<WarningCode, (name: string, bytes?: number) => string>> = {
  'begun-anew': () => 'the upload is no longer on the server; it begins anew',
  'other-file': (name) => `another file called ${name} was being uploaded; this one begins anew`,
  'server-differs': () => 'what the server has is of another file; the upload begins anew',
  renamed: (name) => `another file with this name is being uploaded; this one is now called ${name}`,
  'smaller-chunks': (_, bytes) => `the server takes at most ${bytes} bytes at a time; chunks are smaller now`,
  damaged: () => 'some bytes were damaged on the server; they are sent again',
  'file-gone': (name) => `${name} is no longer where it was`,
  'file-changed': (name) => `${name} has changed since the upload was begun`,
  'not-told': () => 'the server could not be told; it removes what it has after a while',
  'no-return': () => 'this comes from a stream: after a reload it cannot be gone on with',
}

/** A warning with its sentence. */
export function warningOf(code: WarningCode, facts: WarningFacts): Warning {
  return { code, message: SENTENCES[code](facts.name ?? '', facts.bytes), ...facts }
}
