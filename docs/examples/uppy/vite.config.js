import { defineConfig } from 'vite'

export default defineConfig({ server: { proxy: { '/files': 'http://127.0.0.1:8000' } } })
