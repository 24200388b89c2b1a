/** Files from a dialog, a drop or the clipboard, and to which unfinished upload each belongs. */

import type { Source, UploadTask } from '../core/types.js'

interface OpenFilePicker {
  showOpenFilePicker?(options: { multiple: boolean }): Promise<FileSystemFileHandle[]>
}

/**
 * The files that somebody chooses in the browser's dialog; none if they leave it.
 *
 * Where the browser can give a file that is still known after a reload, it does: then the upload
 * goes on without choosing again. `input` is the dialog for all other browsers; it answers by its
 * own `change` event, and null is returned.
 */
export async function choose(input: HTMLInputElement): Promise<Source[] | null> {
  const { showOpenFilePicker } = globalThis as OpenFilePicker
  // Called without a secure context it has brought browsers down.
  if (!isSecureContext || !showOpenFilePicker || input.webkitdirectory || input.accept) {
    input.click()
    return null
  }
  try {
    const handles = await showOpenFilePicker.call(globalThis, { multiple: input.multiple })
    return await Promise.all(handles.map(withHandle))
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return []
    input.click()
    return null
  }
}

async function withHandle(handle: FileSystemFileHandle): Promise<Source> {
  const file = await handle.getFile()
  return Object.defineProperty(file, 'handle', { value: handle }) as File & { handle: FileSystemFileHandle }
}

/** True if what is dragged or pasted has files in it. */
export function hasFiles(data: DataTransfer | null): data is DataTransfer {
  return data?.types.includes('Files') ?? false
}

/** Which of the files look like those that unfinished uploads lack; each upload gets one at most. */
export function matched(
  files: readonly Source[],
  unfinished: readonly UploadTask[],
): { pairs: [UploadTask, Source][]; rest: Source[] } {
  const open = new Set(unfinished.filter((task) => task.state === 'needs-file'))
  const pairs: [UploadTask, Source][] = []
  const rest: Source[] = []
  for (const file of files) {
    const task = [...open].find((one) => one.name === file.name && one.view.size === file.size)
    if (task) {
      open.delete(task)
      pairs.push([task, file])
    } else {
      rest.push(file)
    }
  }
  return { pairs, rest }
}

/** True if a file is of a kind that `accept` names, as an input's `accept` does: `.pdf`, `image/*`, `text/plain`. */
export function isAccepted(file: Source, accept: string): boolean {
  const kinds = accept
    .toLowerCase()
    .split(',')
    .map((kind) => kind.trim())
    .filter(Boolean)
  const name = file.name.toLowerCase()
  const type = (file.type ?? '').toLowerCase()
  return (
    kinds.length === 0 ||
    kinds.some((kind) => {
      if (kind.startsWith('.')) return name.endsWith(kind)
      return kind.endsWith('/*') ? type.startsWith(kind.slice(0, -1)) : type === kind
    })
  )
}
