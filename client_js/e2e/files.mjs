// Files to upload: random bytes, or none at all where only the size matters.
import { createHash, randomFillSync } from 'node:crypto'
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

export const MIB = 1 << 20

export class Files {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'onward-e2e-files-'))
  }

  /** A file of random bytes: its path, name, size and SHA-256. */
  random(name, size) {
    const data = randomFillSync(Buffer.alloc(size))
    const path = join(this.folder, name)
    writeFileSync(path, data)
    return { path, name: basename(name), size, sha256: createHash('sha256').update(data).digest('hex') }
  }

  /** Another file of the same name and size. */
  another(file) {
    mkdirSync(join(this.folder, 'other'), { recursive: true })
    return this.random(join('other', file.name), file.size)
  }

  /** A file of zeros that takes no room. */
  sparse(name, size) {
    const path = join(this.folder, name)
    const fd = openSync(path, 'w')
    ftruncateSync(fd, size)
    closeSync(fd)
    return { path, name, size }
  }

  /** A folder of many small files, each with other bytes. */
  many(name, count, size) {
    const folder = join(this.folder, name)
    mkdirSync(folder)
    return Array.from({ length: count }, (_, index) => this.random(join(name, `${name}-${index}.bin`), size))
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
