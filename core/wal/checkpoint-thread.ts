/**
 * The thread for long checkpoints. A checkpoint waits for the disk inside SQLite; a long one on the main thread would
 * keep leases from being renewed and questions from being answered. Runs in the same process with the same SQLite, so
 * that the locks of both threads know each other.
 */
import { parentPort } from 'node:worker_threads'
import { Connection } from '../database/connection.js'
import { messageOf } from '../errors.js'

export interface CheckpointJob {
  id: number
  path: string
}

parentPort?.on('message', ({ id, path }: CheckpointJob) => {
  try {
    const connection = new Connection(path)
    try {
      parentPort?.postMessage({ id, result: connection.checkpoint() })
    } finally {
      connection.close()
    }
  } catch (error) {
    parentPort?.postMessage({ id, error: messageOf(error) })
  }
})
