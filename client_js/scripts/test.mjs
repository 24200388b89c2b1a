// `npm test`: everything, two things at a time. What failed is shown as a whole; the rest in a line each.
import { spawn } from 'node:child_process'

const LANES = [
  [
    ['build', 'node', 'scripts/build.mjs'],
    ['sizes', 'node', 'scripts/size.mjs'],
    ['types as published', 'npx', 'tsc', '-p', 'test/published'],
    ['imported by plain Node', 'node', 'test/published/import.mjs'],
    ['against a real server', 'npx', 'vitest', 'run', '--config', 'vitest.server.config.ts'],
  ],
  [
    ['biome', 'npx', 'biome', 'ci', '--colors=off', '.'],
    ['types', 'npx', 'tsc', '--noEmit'],
    ['unit', 'npx', 'vitest', 'run'],
    ['in Chromium', 'npx', 'vitest', 'run', '--config', 'vitest.browser.config.ts'],
  ],
]
const SHOWN = new Set(['sizes'])

function run([name, command, ...given]) {
  return new Promise((resolve) => {
    const began = Date.now()
    const child = spawn(command, given, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text))
    child.on('close', (code) => {
      const counts = /Tests +(.*)/.exec(said)?.[1] ?? ''
      const took = ((Date.now() - began) / 1000).toFixed(1)
      console.log(`${code ? 'FAILED' : 'ok    '} ${name.padEnd(24)} ${took.padStart(5)} s  ${counts}`)
      if (code || SHOWN.has(name)) console.log(said.trimEnd())
      resolve(code === 0)
    })
  })
}

async function lane(stages) {
  for (const stage of stages) if (!(await run(stage))) return false
  return true
}

const went = await Promise.all(LANES.map(lane))
process.exit(went.every(Boolean) ? 0 : 1)
