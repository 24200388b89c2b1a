// What a page loads before its first byte goes, in gzip: an entry with all that it imports at once. Fails over budget.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'

const KIB = 1024
const BUDGETS = [
  ['core', ['dist/index.js'], 15],
  ['element, its style and worker', ['dist/element.js', 'dist/worker.js'], 32],
  ['react', ['dist/react.js'], 2],
  ['onward.min.js, German within', ['dist/onward.min.js'], 40],
]

/** The files that `entry` imports before it runs, itself among them. */
function closure(entry, found = new Set()) {
  if (found.has(entry)) return found
  found.add(entry)
  const code = readFileSync(entry, 'utf8')
  for (const [, path] of code.matchAll(/(?:from|import)\s*["'](\.[^"']+)["']/g))
    closure(join(dirname(entry), path), found)
  return found
}

let over = false
for (const [name, entries, budget] of BUDGETS) {
  if (!existsSync(entries[0])) continue
  const core = name === 'react' ? closure('dist/index.js') : new Set()
  const files = new Set(entries.flatMap((entry) => [...closure(entry)]).filter((file) => !core.has(file)))
  const size = gzipSync(Buffer.concat([...files].map((file) => readFileSync(file))), { level: 9 }).length / KIB
  const verdict = size > budget ? '  OVER' : ''
  over ||= size > budget
  console.log(`${name.padEnd(32)} ${size.toFixed(1).padStart(6)} KiB gz of ${budget}${verdict}   (${files.size} files)`)
}
if (over) process.exit(1)
