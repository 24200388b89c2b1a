interface Permissive extends FileSystemFileHandle {
  queryPermission(what: { mode: 'read' }): Promise<PermissionState>
  requestPermission(what: { mode: 'read' }): Promise<PermissionState>
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
