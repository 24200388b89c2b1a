// Builds dist/: modules with their types by tsdown, onward.min.js for pages without a bundler, and then the page at /ui.
import { execFileSync } from 'node:child_process'
import { basename } from 'node:path'
import { build } from 'esbuild'

execFileSync('npx', ['tsdown', '--log-level', 'warn'], { stdio: 'inherit' })

// One classic script. Its worker and WebAssembly are the files beside it: a strict content policy allows no others. So
// is what a row shows when it is opened, as few ever do.
await build({
  entryPoints: ['src/script.ts'],
  outfile: 'dist/onward.min.js',
  bundle: true,
  minify: true,
  format: 'iife',
  globalName: 'Onward',
  target: 'es2022',
  legalComments: 'none',
  banner: { js: "var onwardScript=document.currentScript?.src||'';" },
  define: { 'import.meta.url': 'onwardScript' },
  plugins: [
    {
      name: 'beside',
      setup: (on) =>
        on.onResolve({ filter: /\/(wasm|details)\.js$/ }, ({ path }) => ({
          path: `./${basename(path)}`,
          external: true,
        })),
    },
  ],
})

await import('../demo/build.mjs')
