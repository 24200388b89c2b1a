import { createUploader } from 'onward-upload'
import { useUploads } from 'onward-upload/react'

// Made once, outside of any component: uploads go on while components come and go.
const uploader = createUploader({ endpoint: '/upload' })
uploader.restore()

const COLOURS = { done: 'success', failed: 'danger', waiting: 'warning', verifying: 'info', assembling: 'info' }
const MB = 1e6

export function App() {
  const { tasks, isDragging, getInputProps, getDropzoneProps } = useUploads(uploader)
  return (
    <main className="container py-4" {...getDropzoneProps()}>
      <h1 className="h3">Upload</h1>
      <label className={`card card-body mb-3 ${isDragging ? 'border-primary' : ''}`}>
        <span className="mb-2">Choose files, or drop them on this page</span>
        <input {...getInputProps({ className: 'form-control' })} />
      </label>
      <ul className="list-group">
        {tasks.map((view) => (
          <Upload key={view.id} view={view} />
        ))}
      </ul>
    </main>
  )
}

function Upload({ view }) {
  const { acked, total, bytesPerSecond } = view.progress
  const percent = view.state === 'done' ? 100 : Math.floor((100 * acked) / (total || 1))
  const task = uploader.task(view.id)
  return (
    <li className="list-group-item">
      <div className="d-flex align-items-center gap-2 mb-2">
        <strong className="text-truncate me-auto">{view.name}</strong>
        {view.state === 'uploading' && <small>{(bytesPerSecond / MB).toFixed(1)} MB/s</small>}
        <span className={`badge text-bg-${COLOURS[view.state] ?? 'primary'}`}>{view.state}</span>
        {['uploading', 'queued', 'waiting'].includes(view.state) && (
          <Button label={`Pause ${view.name}`} onClick={() => task.pause()} text="Pause" />
        )}
        {['paused', 'failed', 'needs-permission'].includes(view.state) && (
          <Button label={`Go on with ${view.name}`} onClick={() => task.resume()} text="Go on" />
        )}
      </div>
      <div className="progress" role="progressbar" aria-label={view.name} aria-valuenow={percent}>
        <div className={`progress-bar bg-${COLOURS[view.state] ?? 'primary'}`} style={{ width: `${percent}%` }} />
      </div>
      {view.state === 'needs-file' && <small>Choose this file again to go on.</small>}
      {view.error && <small className="text-danger">{view.error.message}</small>}
      {view.result && <code className="small">sha256 {view.result.sha256}</code>}
    </li>
  )
}

function Button({ label, onClick, text }) {
  return (
    <button type="button" className="btn btn-sm btn-outline-secondary" aria-label={label} onClick={onClick}>
      {text}
    </button>
  )
}
