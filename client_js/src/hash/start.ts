/** The worker as a file of its own: pages with a strict policy allow no other. */
export function startWorker(): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
}
