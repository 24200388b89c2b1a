// What a page loads before its first paint, in gzip: an entry with all that it imports at once. Fails over budget.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const KIB = 1024
const PAGE = fileURLToPath(new URL('../../src/onward/_ui/dist/', import.meta.url))
const BUDGETS = [
  ['core', ['dist/index.js'], 16],
  ['element, its style and worker', ['dist/element.js', 'dist/worker.js'], 24],
  ['react', ['dist/react.js'], 2],
  ['the page at /ui', [join(PAGE, 'index.html')], 30],
  ['onward.min.js, all within', ['dist/onward.min.js'], 41],
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
  console.log(`${name.padEnd(32)} ${size.toFixed(2).padStart(6)} KiB gz of ${budget}${verdict}   (${files.size} files)`)
}
if (over) process.exit(1)
