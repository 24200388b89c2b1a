export { getChunkedEnhancer } from '@rpldy/chunked-sender'
export { createUploader, UPLOADER_EVENTS } from '@rpldy/uploader'
