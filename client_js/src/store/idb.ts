import type { ResumeRecord, ResumeStore } from '../core/seams.js'

const NAME = 'onward-upload'
const STORE = 'records'

/** Keeps records, and the handles of files with them, in the browser's database. Opened when it is first used. */
export class IdbStore implements ResumeStore {
  #db: Promise<IDBDatabase> | null = null

  all(): Promise<ResumeRecord[]> {
    return this.#run('readonly', (store) => store.getAll())
  }

  async put(record: ResumeRecord): Promise<void> {
    await this.#run('readwrite', (store) => store.put(record))
  }

  async delete(key: string): Promise<void> {
    await this.#run('readwrite', (store) => store.delete(key))
  }

  async #run<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    const db = await this.#open()
    return new Promise((resolve, reject) => {
      const transaction = db.transaction(STORE, mode)
      const request = work(transaction.objectStore(STORE))
      transaction.oncomplete = () => resolve(request.result)
      transaction.onerror = transaction.onabort = () => reject(transaction.error)
    })
  }

  #open(): Promise<IDBDatabase> {
    this.#db ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(NAME, 1)
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'key' })
      request.onerror = request.onblocked = () => reject(request.error)
      request.onsuccess = () => {
        // Another page may bring a newer version; the next use opens it again.
        request.result.onversionchange = () => {
          request.result.close()
          this.#db = null
        }
        resolve(request.result)
      }
    })
    this.#db.catch(() => {
      this.#db = null
    })
    return this.#db
  }
}
