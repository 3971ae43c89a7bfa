import type { Plugin } from '../../core/index.js'
import { FileStore, folderOf } from './file-store.js'

/** Stores objects as files in a folder: `file:///var/backups/db`. */
export function storageFile(): Plugin {
  return {
    name: 'walrust:storage-file',
    apply(host) {
      host.registerStorage('file', ({ url }) => new FileStore(folderOf(url)))
    },
  }
}
