/**
 * The worker as a file of its own: pages with a strict policy allow no other. Where the file is another origin's, no
 * page may start it; then a worker of this page's own loads it, if its policy has both in `worker-src`.
 */
export function startWorker(): Worker {
  const url = new URL('./worker.js', import.meta.url)
  if (url.origin === globalThis.location?.origin) return new Worker(url, { type: 'module' })
  const own = URL.createObjectURL(new Blob([`import ${JSON.stringify(url.href)}`], { type: 'text/javascript' }))
  return new Worker(own, { type: 'module' })
}
