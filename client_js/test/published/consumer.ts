/** A page's own code in TypeScript, as strict as it gets, against the package as it is published. */
import { createUploader, type Snapshot, sourceOf, UploadError, type Uploader, type UploadTask } from 'onward-upload'
import { defineElement, type OnwardUpload } from 'onward-upload/element'
import { type Uploads, useUpload, useUploads } from 'onward-upload/react'
import 'onward-upload/worker'

const headers = async ({ refresh }: { refresh: boolean }) => ({ Authorization: refresh ? 'new' : 'old' })
export const uploader: Uploader = createUploader({ endpoint: '/upload', protocol: 'tus', headers })
export const totals = (snapshot: Snapshot): number => snapshot.totals.acked

export function Component(): number {
  const { tasks, getInputProps }: Uploads = useUploads(uploader)
  return useUpload(uploader, 'id') ? tasks.length : getInputProps({ accept: '.pdf' }).type.length
}

export async function use(element: OnwardUpload): Promise<string> {
  defineElement('other-name')
  element.uploader = uploader
  const [task]: UploadTask[] = await element.add([sourceOf(new Blob(['x']), 'x')])
  return (
    task?.done.then(
      ({ url }) => url,
      (error: unknown) => (error instanceof UploadError ? error.code : ''),
    ) ?? ''
  )
}

export const end = (): Promise<void> => uploader[Symbol.asyncDispose]()
