// What the page of the benchmark can do: send one file by each client, and say when it was done.
import Uppy from '@uppy/core'
import XHRUpload from '@uppy/xhr-upload'
import * as tus from 'tus-js-client'

const file = () => document.querySelector('input').files[0]

window.run = {
  onward: (base, name) => {
    const uploader = window.Onward.createUploader({
      endpoint: `${base}/upload`,
      persist: false,
      nameOf: () => name,
      verify: 'chunk-tree',
    })
    // As the others tell: when the last byte is acknowledged. What it waits for after that is the server's proof.
    return new Promise((resolve, reject) => {
      uploader.on('state', ({ to }) => ['verifying', 'assembling', 'done'].includes(to) && resolve())
      uploader.add([file()]).then(([task]) => task.done.catch(reject), reject)
    })
  },
  // As it is usually set up behind a proxy, and with no limit.
  tus: (base, name, chunkSize = Number.POSITIVE_INFINITY) =>
    new Promise((resolve, reject) => {
      const upload = new tus.Upload(file(), {
        endpoint: `${base}/files`,
        chunkSize,
        metadata: { filename: name },
        storeFingerprintForResuming: false,
        onSuccess: () => resolve(),
        onError: reject,
      })
      upload.start()
    }),
  uppy: async (base, name) => {
    const uppy = new Uppy()
    uppy.use(XHRUpload, { endpoint: `${base}/upload/${name}-1`, fieldName: 'data', timeout: 0 })
    uppy.addFile({ name, data: file(), type: 'application/octet-stream' })
    const { failed } = await uppy.upload()
    if (failed.length > 0) throw new Error(JSON.stringify(failed[0].error))
  },
}
