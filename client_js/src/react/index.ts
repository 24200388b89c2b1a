/** Uploads in React: `useUploads(uploader)`. The uploader is made outside of any component, so no render makes two. */

import {
  type ChangeEvent,
  type ClipboardEvent,
  type DragEvent,
  type InputHTMLAttributes,
  useCallback,
  useMemo,
  useState,
  useSyncExternalStore,
} from 'react'
import type { AddInput, AddOptions, Snapshot, TaskView, Uploader, UploadTask } from '../core/types.js'

const NOTHING: Snapshot = {
  tasks: [],
  totals: {
    acked: 0,
    inFlight: 0,
    total: 0,
    bytesPerSecond: 0,
    etaSeconds: null,
    resumes: 0,
    retries: 0,
    resentBytes: 0,
  },
  counts: {},
  connection: { state: 'online' },
}

/** What a file input needs; give it `type`, `multiple` and the like by the argument of `getInputProps`. */
export interface InputProps extends InputHTMLAttributes<HTMLInputElement> {
  readonly type: 'file'
  readonly onChange: (event: ChangeEvent<HTMLInputElement>) => void
}

export interface DropzoneProps {
  readonly onDragEnter: (event: DragEvent) => void
  readonly onDragOver: (event: DragEvent) => void
  readonly onDragLeave: (event: DragEvent) => void
  readonly onDrop: (event: DragEvent) => void
  readonly onPaste: (event: ClipboardEvent) => void
}

export interface Uploads extends Snapshot {
  /** Files are held over the drop zone. */
  readonly isDragging: boolean
  /** The upload itself, to pause, resume or cancel it. */
  task(id: string): UploadTask | undefined
  add(input: AddInput, options?: AddOptions): Promise<UploadTask[]>
  pauseAll(): void
  resumeAll(): void
  getInputProps(more?: InputHTMLAttributes<HTMLInputElement>): InputProps
  getDropzoneProps(): DropzoneProps
}

const none = () => NOTHING

/** All uploads of an uploader; the component renders again when they have moved on, at most ten times a second. */
export function useUploads(uploader: Uploader): Uploads {
  const subscribe = useCallback((fn: () => void) => uploader.subscribe(fn), [uploader])
  const read = useCallback(() => uploader.getSnapshot(), [uploader])
  const snapshot = useSyncExternalStore(subscribe, read, none)
  const [depth, setDepth] = useState(0)
  const actions = useMemo(() => actionsOf(uploader, setDepth), [uploader])
  return useMemo(() => ({ ...snapshot, ...actions, isDragging: depth > 0 }), [snapshot, actions, depth])
}

/** One upload of an uploader by its id; undefined once it is off the list. */
export function useUpload(uploader: Uploader, id: string): TaskView | undefined {
  const subscribe = useCallback((fn: () => void) => uploader.subscribe(fn), [uploader])
  const read = useCallback(() => uploader.task(id)?.view, [uploader, id])
  return useSyncExternalStore(subscribe, read, () => undefined)
}

function actionsOf(uploader: Uploader, setDepth: (change: (depth: number) => number) => void) {
  const add = (input: AddInput, options?: AddOptions) => uploader.add(input, options)
  const moved = (event: DragEvent, by: number) => {
    event.preventDefault()
    setDepth((depth) => Math.max(0, depth + by))
  }
  return {
    add,
    task: (id: string) => uploader.task(id),
    pauseAll: () => uploader.pauseAll(),
    resumeAll: () => uploader.resumeAll(),
    getInputProps: (more: InputHTMLAttributes<HTMLInputElement> = {}): InputProps => ({
      multiple: true,
      ...more,
      type: 'file',
      onChange: (event) => {
        more.onChange?.(event)
        const files = [...(event.currentTarget.files ?? [])]
        event.currentTarget.value = '' // the same file may be chosen again
        if (files.length > 0) void add(files)
      },
    }),
    getDropzoneProps: (): DropzoneProps => ({
      onDragEnter: (event) => moved(event, 1),
      onDragLeave: (event) => moved(event, -1),
      onDragOver: (event) => event.preventDefault(),
      onDrop: (event) => {
        event.preventDefault()
        setDepth(() => 0)
        void add(event.dataTransfer)
      },
      onPaste: (event) => {
        if (event.clipboardData.files.length > 0) void add(event.clipboardData.files)
      },
    }),
  }
}
