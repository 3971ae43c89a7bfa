import { MemoryStore } from '../../../plugins/storage-memory/index.js'
import { storeCases } from '../../../testing/index.js'
import { runCases } from '../../helpers/conformance.js'

describe('storage-memory: conformance', () => {
  const store = new MemoryStore()
  runCases(storeCases({ open: () => store }))
})
