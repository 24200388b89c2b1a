import { renderToString } from 'react-dom/server'
import { expect, test } from 'vitest'
import { useUploads } from '../../src/react/index.js'
import { ScriptedUploader } from './scripted.js'

const uploader = new ScriptedUploader()

function Uploads() {
  const { getInputProps, tasks, totals } = useUploads(uploader)
  return (
    <p>
      <input {...getInputProps()} />
      {`${tasks.length} ${totals.acked}`}
    </p>
  )
}

test('under a server the hook renders an empty list, whatever the uploader has', () => {
  uploader.put('a.bin', 10)
  expect(renderToString(<Uploads />)).toBe('<p><input multiple="" type="file"/>0 0</p>')
  expect(uploader.subscribers).toBe(0)
})

test('the element is imported where there are no elements', async () => {
  expect(globalThis.HTMLElement).toBeUndefined()
  const { OnwardUpload } = await import('../../src/ui/element.js')
  expect(OnwardUpload.formAssociated).toBe(true)
})
