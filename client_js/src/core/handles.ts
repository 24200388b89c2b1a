import type { ResumeRecord } from './seams.js'

interface Permissive extends FileSystemFileHandle {
  queryPermission(what: { mode: 'read' }): Promise<PermissionState>
  requestPermission(what: { mode: 'read' }): Promise<PermissionState>
}

/** Why nothing is sent of an upload, until somebody does something. */
export type Hold = 'paused' | 'needs-file' | 'needs-permission' | 'elsewhere'

/** What holds an upload up that an earlier page has left, as far as can be told without asking anybody. */
export async function holdOf({ handle, sealed }: ResumeRecord): Promise<Hold | null> {
  if (sealed) return null
  if (!handle) return 'needs-file'
  try {
    if ((await (handle as Permissive).queryPermission({ mode: 'read' })) === 'granted') return null
  } catch {
    // What is wrong with a handle is found out, and told, by `fileOf`.
  }
  return 'needs-permission'
}

/** The file of a handle that was kept. `ask` only in answer to a click: the browser then asks the person. */
export async function fileOf(handle: FileSystemFileHandle, ask: boolean): Promise<File | 'not-allowed' | 'gone'> {
  const permissive = handle as Permissive
  const what = { mode: 'read' } as const
  try {
    const leave = await (ask ? permissive.requestPermission(what) : permissive.queryPermission(what))
    return leave === 'granted' ? await handle.getFile() : 'not-allowed'
  } catch {
    return 'gone'
  }
}
