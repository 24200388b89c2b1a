import { defineConfig } from 'vite'

const server = 'http://127.0.0.1:8000'

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic' } },
  optimizeDeps: { exclude: ['onward-upload'] }, // its worker stays the file that it is
  server: { proxy: { '/upload': server, '/uploads': server, '/files': server } },
})
