// Builds the page into the Python package, with the client for pages of others beside it.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const here = fileURLToPath(new URL('.', import.meta.url))
const dist = fileURLToPath(new URL('../dist/', import.meta.url))
const page = fileURLToPath(new URL('../../src/onward/_ui/dist/', import.meta.url))

await build({
  configFile: false,
  root: here,
  base: './', // the page may be served below any prefix
  logLevel: 'warn',
  publicDir: false,
  build: {
    outDir: page,
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // no inline images: each file has its own tag, and the policy stays strict
    modulePreload: { polyfill: false },
  },
  worker: { format: 'es' },
})

// `<script src="/ui/onward.min.js">`, and the files that it fetches later.
const beside = new Set(['onward.min.js', 'worker.js', 'wasm.js', 'details.js'])
for (const file of beside) {
  const code = readFileSync(dist + file, 'utf8')
  writeFileSync(page + file, code)
  if (file === 'onward.min.js') continue // all that it imports is in this list
  for (const [, name] of code.matchAll(/(?:from|import)\s*\(?\s*["'`]\.\/([^"'`]+)["'`]/g)) beside.add(name)
}
