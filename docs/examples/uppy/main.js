import Uppy from '@uppy/core'
import Dashboard from '@uppy/dashboard'
import Tus from '@uppy/tus'
import '@uppy/core/css/style.min.css'
import '@uppy/dashboard/css/style.min.css'

new Uppy()
  .use(Dashboard, { target: '#uploads', inline: true, proudlyDisplayPoweredByUppy: false })
  // What a proxy before the server takes in one request is the most that a chunk may have.
  .use(Tus, { endpoint: '/files', chunkSize: 50_000_000, removeFingerprintOnSuccess: true })
