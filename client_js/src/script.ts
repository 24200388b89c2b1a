/** All of it as one classic script, for pages without a bundler: what it exports is in `Onward`. */
export * from './index.js'
export { defineElement, OnwardUpload } from './ui/element.js'
