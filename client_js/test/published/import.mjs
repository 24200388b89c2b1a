// What is published can be imported where there is no page: under a plain Node, as servers that render pages do.
import assert from 'node:assert/strict'

for (const name of ['window', 'document', 'XMLHttpRequest', 'Worker', 'indexedDB'])
  assert.equal(globalThis[name], undefined)

const { createUploader, sourceOf, UploadError, CELL } = await import('onward-upload')
const { OnwardUpload } = await import('onward-upload/element')
const { useUploads } = await import('onward-upload/react')
for (const made of [createUploader, sourceOf, UploadError, OnwardUpload, useUploads])
  assert.equal(typeof made, 'function')
assert.equal(CELL.empty, 0)

const uploader = createUploader({ endpoint: 'http://127.0.0.1:1/upload', persist: false })
assert.deepEqual(uploader.getSnapshot().tasks, [])
assert.equal(uploader.getSnapshot(), uploader.getSnapshot())
const [task] = await uploader.add([sourceOf(new Blob(['abc']), 'a.txt')], { start: false })
assert.equal(task.state, 'paused')
await uploader[Symbol.asyncDispose]()
console.log('imported without a page')
