/** Resumable uploads. `createUploader` is all that most pages need. Importing this touches no browser object. */

export { type ErrorCode, type ErrorFacts, UploadError, type Warning, type WarningCode } from './core/errors.js'
export * from './core/types.js'
export { createUploader, sourceOf } from './create.js'
