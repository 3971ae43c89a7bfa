import { FileStore } from '../../../plugins/storage-file/file-store.js'
import { storeCases } from '../../../testing/index.js'
import { runCases } from '../../helpers/conformance.js'
import { useFolder } from '../../helpers/databases.js'

for (const [where, local] of [
  ['on a disk of this machine', true],
  ['where a question may take long', false],
] as const) {
  describe(`storage-file: conformance, ${where}`, () => {
    const folder = useFolder()
    runCases(storeCases({ open: () => new FileStore(folder.file('backups'), () => Promise.resolve(local)) }))
  })
}
