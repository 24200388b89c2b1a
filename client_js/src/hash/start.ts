/**
 * The worker as a file of its own: pages with a strict policy allow no other. Where the file is another origin's, no
 * page may start it; then a worker of this page's own loads it, if its policy has both in `worker-src`.
 */
export function startWorker(): Worker {
  const here = import.meta.url
  if (new URL(here).origin !== globalThis.location?.origin) return ownWorker(new URL('./worker.js', here).href)
  // In these words: by them bundlers know that a worker is meant.
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
}

/** Of one page there are a few workers, all with the same code. */
let own: string | undefined

function ownWorker(url: string): Worker {
  own ??= URL.createObjectURL(new Blob([`import ${JSON.stringify(url)}`], { type: 'text/javascript' }))
  return new Worker(own, { type: 'module' })
}
