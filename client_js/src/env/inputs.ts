import { sourceFrom } from '../core/source.js'
import type { Chosen, Source } from '../core/types.js'

const folders = () => import('./folders.js')

interface HandleGiver {
  getAsFileSystemHandle?(): Promise<FileSystemHandle | null>
}

/**
 * The files of what was chosen, dropped or pasted, folders walked through. All that the browser shows only during the
 * event is read before this returns; the rest follows.
 */
export function sourcesOf(input: Chosen): Promise<Source[]> {
  const transfer = transferOf(input)
  if (!transfer) return Promise.resolve([...(input as Iterable<Source>)])
  const found: Promise<Source[]>[] = []
  for (const item of Array.from(transfer.items ?? [])) if (item.kind === 'file') found.push(ofItem(item))
  if (!found.length) return Promise.resolve([...transfer.files])
  return Promise.all(found).then((lists) => lists.flat())
}

function transferOf(input: Chosen): DataTransfer | null {
  if ('dataTransfer' in input) return input.dataTransfer
  if ('clipboardData' in input) return input.clipboardData
  return 'types' in input && 'items' in input ? input : null
}

/** The calls on `item` must all be made at once: after the event it is empty. */
function ofItem(item: DataTransferItem): Promise<Source[]> {
  const file = item.getAsFile()
  const entry = item.webkitGetAsEntry?.() ?? null
  // Asking for a handle where the page is not secure has crashed browsers.
  const handle = globalThis.isSecureContext ? (item as HandleGiver).getAsFileSystemHandle?.() : undefined
  return collect(handle, entry, file)
}

async function collect(
  asked: Promise<FileSystemHandle | null> | undefined,
  entry: FileSystemEntry | null,
  file: File | null,
): Promise<Source[]> {
  const handle = await asked?.catch(() => null)
  if (handle?.kind === 'directory') return (await folders()).walk(handle as FileSystemDirectoryHandle, handle.name)
  if (handle && file) return [sourceFrom(file, { handle: handle as FileSystemFileHandle })]
  if (entry?.isDirectory) return (await folders()).walkEntry(entry as FileSystemDirectoryEntry)
  return file ? [sourceFrom(file)] : []
}
