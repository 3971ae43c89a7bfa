import { FileStore } from '../../../plugins/storage-file/file-store.js'
import { storeCases } from '../../../testing/index.js'
import { runCases } from '../../helpers/conformance.js'
import { useFolder } from '../../helpers/databases.js'

describe('storage-file: conformance', () => {
  const folder = useFolder()
  runCases(storeCases({ open: () => new FileStore(folder.file('backups')) }))
})
