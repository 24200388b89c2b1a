import { act, StrictMode } from 'react'
import { createRoot, type Root } from 'react-dom/client'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { useUpload, useUploads } from '../../../src/react/index.js'
import { ScriptedUploader } from '../scripted.js'

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true })

let uploader: ScriptedUploader
let root: Root
let place: HTMLElement

beforeEach(() => {
  uploader = new ScriptedUploader()
  place = document.createElement('div')
  document.body.append(place)
  root = createRoot(place)
})

afterEach(async () => {
  await act(async () => root.unmount())
  place.remove()
})

function Uploads() {
  const { getDropzoneProps, getInputProps, isDragging, tasks } = useUploads(uploader)
  return (
    <div {...getDropzoneProps()} data-dragging={isDragging}>
      <input {...getInputProps({ 'aria-label': 'files', multiple: false })} />
      <ul>
        {tasks.map(({ id, name, progress, state }) => (
          <li key={id}>{`${name} ${state} ${progress.acked}`}</li>
        ))}
      </ul>
    </div>
  )
}

const show = () =>
  act(async () =>
    root.render(
      <StrictMode>
        <Uploads />
      </StrictMode>,
    ),
  )
const rows = () => [...place.querySelectorAll('li')].map((row) => row.textContent)

test('in StrictMode every change is shown, and one subscription is left', async () => {
  await show()
  expect(uploader.subscribers).toBe(1)
  const task = await act(async () => uploader.put('a.bin', 10, { state: 'uploading' }))
  expect(rows()).toEqual(['a.bin uploading 0'])
  await act(async () => task.set({ progress: { acked: 5 } }))
  expect(rows()).toEqual(['a.bin uploading 5'])
  await act(async () => root.unmount())
  expect(uploader.subscribers).toBe(0)
  root = createRoot(place)
})

test('files come in by the input and by dropping', async () => {
  await show()
  const input = place.querySelector('input') as HTMLInputElement
  expect([input.type, input.multiple, input.getAttribute('aria-label')]).toEqual(['file', false, 'files'])
  const data = new DataTransfer()
  data.items.add(new File(['abc'], 'a.txt'))
  await act(async () => {
    input.files = data.files
    input.dispatchEvent(new Event('change', { bubbles: true }))
  })
  expect(uploader.added.map(({ name }) => name)).toEqual(['a.txt'])
  expect(input.value).toBe('')

  const zone = place.firstElementChild as HTMLElement
  const added: unknown[] = []
  uploader.add = async (input) => {
    added.push(input)
    return []
  }
  const fire = (type: string) =>
    act(async () => {
      zone.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }))
    })
  await fire('dragenter')
  expect(zone.dataset.dragging).toBe('true')
  await fire('drop')
  expect(zone.dataset.dragging).toBe('false')
  expect(added).toEqual([data])
})

let renders = 0

function One({ id }: { id: string }) {
  const view = useUpload(uploader, id)
  renders += 1
  return <p>{view?.progress.acked}</p>
}

test('one upload is followed without rendering for the others', async () => {
  const first = uploader.put('a.bin', 10)
  const second = uploader.put('b.bin', 10)
  await act(async () => root.render(<One id={first.id} />))
  const before = renders
  await act(async () => second.set({ progress: { acked: 7 } }))
  expect(renders).toBe(before)
  await act(async () => first.set({ progress: { acked: 3 } }))
  expect(place.textContent).toBe('3')
})
