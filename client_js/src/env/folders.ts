import { sourceFrom } from '../core/source.js'
import type { Source } from '../core/types.js'

/** All files below a dropped folder, each with its handle. */
export async function walk(folder: FileSystemDirectoryHandle, path: string): Promise<Source[]> {
  const found: Source[] = []
  for await (const handle of (folder as unknown as { values(): AsyncIterable<FileSystemHandle> }).values()) {
    const at = `${path}/${handle.name}`
    if (handle.kind === 'directory') found.push(...(await walk(handle as FileSystemDirectoryHandle, at)))
    else {
      const file = handle as FileSystemFileHandle
      found.push(sourceFrom(await file.getFile(), { relativePath: at, handle: file }))
    }
  }
  return found
}

/** The same where browsers have no handles. */
export async function walkEntry(folder: FileSystemDirectoryEntry): Promise<Source[]> {
  const reader = folder.createReader()
  const found: Source[] = []
  for (;;) {
    // A reader tells at most a hundred at a time, and nothing when it is at its end.
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (!entries.length) return found
    for (const entry of entries) {
      if (entry.isDirectory) found.push(...(await walkEntry(entry as FileSystemDirectoryEntry)))
      else {
        const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))
        found.push(sourceFrom(file, { relativePath: entry.fullPath.replace(/^\//, '') }))
      }
    }
  }
}
