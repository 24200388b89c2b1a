/** What the page knows of its server. */

export interface PageConfig {
  readonly version: string
  readonly demo: boolean
  readonly endpoint: string
  readonly files: string
  readonly uploads: string
  readonly events: string
  /** Finished files can be deleted. */
  readonly delete_finished: boolean
  readonly limits: { readonly max_size: number }
}

const USUAL: PageConfig = {
  version: '',
  demo: false,
  endpoint: '/upload',
  files: '/files',
  uploads: '/uploads',
  events: '/events',
  delete_finished: false,
  limits: { max_size: 0 },
}

/** Asks the server; one that cannot answer is taken to have the usual paths. */
export async function loadConfig(): Promise<PageConfig> {
  try {
    const response = await fetch('config.json', { cache: 'no-store' })
    return response.ok ? { ...USUAL, ...((await response.json()) as Partial<PageConfig>) } : USUAL
  } catch (error) {
    console.warn('the page goes on without its configuration', error)
    return USUAL
  }
}
