import type { Source } from './types.js'

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
    slice: (start, end) => file.slice(start, end),
    ...more,
  }
}
