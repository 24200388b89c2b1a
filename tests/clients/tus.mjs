// Drives tus-js-client: node tus.mjs VERSION ENDPOINT FILE OPTIONS-AS-JSON
// Prints one JSON object: the upload's URL and how often it had to try again.
import { createReadStream, statSync } from 'node:fs'
import { PassThrough } from 'node:stream'

const [version, endpoint, path, extra] = process.argv.slice(2)
const tus = await import(version === 'next' ? 'tus-js-client-next' : 'tus-js-client')
const options = JSON.parse(extra ?? '{}')
const { abortAt, terminateAborted, ...given } = options
const Upload = tus.Upload ?? tus.default.Upload

let retries = 0
let aborted = false

function send(more) {
  return new Promise((resolve, reject) => {
    const file = createReadStream(path)
    // A length is deferred where it is not known: of a stream, not of a file.
    const source = given.uploadLengthDeferred ? file.pipe(new PassThrough()) : file
    const upload = new Upload(source, {
      endpoint,
      retryDelays: [50, 100, 200, 400, 800, 800, 800, 800],
      metadata: { filename: 'clip.bin', filetype: 'application/octet-stream' },
      ...(given.uploadLengthDeferred || given.parallelUploads ? {} : { uploadSize: statSync(path).size }),
      onShouldRetry: () => {
        retries += 1
        return true
      },
      onProgress: (sent, total) => {
        if (abortAt && !aborted && sent >= abortAt) {
          aborted = true
          upload.abort().then(() => resolve({ url: upload.url, aborted: true }), reject)
        }
      },
      onError: reject,
      onSuccess: () => resolve({ url: upload.url }),
      ...given,
      ...more,
    })
    upload.start()
  })
}

let done = await send({})
if (terminateAborted) await Upload.terminate(done.url, {})
else if (done.aborted) done = { ...(await send({ uploadUrl: done.url })), resumed: true }
console.log(JSON.stringify({ ...done, retries }))
