/** The bytes of a file that have come in and are still to be read, and where in the file they are. */
export class Input {
  bytes = new Uint8Array(0)
  view = new DataView(this.bytes.buffer)
  /** What is still to be read: {@link bytes} from `at` to `end`. */
  at = 0
  end = 0
  /** Where in the file `at` is, in bytes. */
  offset = 0

  get available(): number {
    return this.end - this.at
  }

  /** The next `size` bytes, which stay to be read. Valid until the next {@link append}. */
  peek(size: number): Uint8Array {
    return this.bytes.subarray(this.at, this.at + size)
  }

  /** Goes on behind the next `size` bytes. */
  take(size: number): void {
    this.at += size
    this.offset += size
  }

  /**
   * Adds a copy of `piece`. Where the buffer has to grow it gets `spare` bytes more, so that pieces smaller than what
   * is read in one go neither move the bytes before them nor let the buffer grow each time.
   */
  append(piece: Uint8Array, spare: number): void {
    if (this.end + piece.length > this.bytes.length) this.#makeRoom(piece.length, spare)
    this.bytes.set(piece, this.end)
    this.end += piece.length
  }

  #makeRoom(length: number, spare: number): void {
    const rest = this.available
    if (rest + length <= this.bytes.length) {
      this.bytes.copyWithin(0, this.at, this.end)
    } else {
      const larger = new Uint8Array(rest + length + spare)
      larger.set(this.peek(rest))
      this.bytes = larger
      this.view = new DataView(larger.buffer)
    }
    this.at = 0
    this.end = rest
  }
}
