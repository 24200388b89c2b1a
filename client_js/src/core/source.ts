import type { Source } from './types.js'

/** Up to here a file is read whole, once: what is hashed is what is sent, and the disk is asked for nothing else. */
export const SMALL = 64 * 1024

/** A file as a source, with its path where it was chosen with its folder. */
export function sourceFrom(file: Source, more: { relativePath?: string; handle?: FileSystemFileHandle } = {}): Source {
  const { name, size, type, lastModified, handle } = file
  const relativePath = file.relativePath || (file as Partial<File>).webkitRelativePath || undefined
  return {
    name,
    size,
    type,
    lastModified,
    relativePath,
    handle,
    // A slice has the browser ask the disk for the file's size, and wait for it.
    slice: (start, end) =>
      file instanceof Blob && end - start === size && size <= SMALL ? file : file.slice(start, end),
    ...more,
  }
}
