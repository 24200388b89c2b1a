import { existsSync } from 'node:fs'
import { defineConfig } from 'tsdown'

const entries: Record<string, string> = {
  index: 'src/index.ts',
  element: 'src/ui/element.ts',
  react: 'src/react/index.ts',
  worker: 'src/hash/worker.ts',
  wasm: 'src/hash/wasm.ts',
  details: 'src/ui/details.ts',
}

/** The library: modules that pages and bundlers load. What `index` needs only at times lies in files of its own. */
export default defineConfig({
  entry: Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(file))),
  format: 'esm',
  platform: 'neutral',
  target: 'es2022',
  outDir: 'dist',
  clean: true,
  dts: true,
  // Its types name `Symbol.asyncDispose`, which is in no `lib` that has a year for its name.
  banner: { dts: '/// <reference lib="esnext.disposable" />' },
  minify: true,
  hash: true,
  fixedExtension: false,
  deps: { neverBundle: ['react'], alwaysBundle: ['hash-wasm'] },
  inputOptions: { resolve: { mainFields: ['module', 'main'] } },
})
