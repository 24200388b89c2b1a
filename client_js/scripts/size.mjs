// What a page loads before its first paint, in gzip: an entry with all that it imports at once. Fails over budget.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const KIB = 1024
const PAGE = fileURLToPath(new URL('../../src/onward/_ui/dist/', import.meta.url))
/** What is fetched when the first file is added, of the chunk protocol. */
const FIRST_FILE = ['task', 'call', 'xhr', 'chunk', 'follow', 'hasher']

/** A file of `dist` that has a hash in its name. */
const hashed = (name) =>
  join(
    'dist',
    readdirSync('dist').find((file) => file.startsWith(`${name}-`) && file.endsWith('.js')),
  )

const ELEMENT = ['dist/element.js', 'dist/worker.js']

/** Where a budget lacks, the figure is shown and nothing is asked of it. */
const BUDGETS = [
  ['core', ['dist/index.js'], 9],
  ['core with all for a chunk upload', ['dist/index.js', 'dist/worker.js', ...FIRST_FILE.map(hashed)]],
  ['element, its style and worker', ELEMENT, 20],
  ['element with all for an upload', [...ELEMENT, 'dist/details.js', ...[...FIRST_FILE, 'uploads'].map(hashed)]],
  ['react', ['dist/react.js'], 2],
  ['the page at /ui', [join(PAGE, 'index.html')], 30],
  ['onward.min.js', ['dist/onward.min.js'], 45],
]

/** The files that `entry` loads before it runs, itself among them. */
function closure(entry, found = new Set()) {
  if (found.has(entry)) return found
  found.add(entry)
  const code = readFileSync(entry, 'utf8')
  const next = entry.endsWith('.html')
    ? /<(?:script|link)[^>]*\s(?:src|href)="(\.[^"]+)"/g
    : /(?:from|import)\s*["'](\.[^"']+)["']/g
  for (const [, path] of code.matchAll(next)) closure(join(dirname(entry), path), found)
  return found
}

let over = false
for (const [name, entries, budget] of BUDGETS) {
  if (!existsSync(entries[0])) continue
  const core = name === 'react' ? closure('dist/index.js') : new Set()
  const files = new Set(entries.flatMap((entry) => [...closure(entry)]).filter((file) => !core.has(file)))
  // Each by itself, as they are sent.
  const size = [...files].reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0) / KIB
  const verdict = size > budget ? '  OVER' : ''
  over ||= size > budget
  console.log(
    `${name.padEnd(32)} ${size.toFixed(2).padStart(6)} KiB gz ${budget ? `of ${budget}` : ''}${verdict}   (${files.size} files)`,
  )
}
if (over) process.exit(1)
