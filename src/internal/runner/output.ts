/**
 * What a child has written to its stdout and stderr, and a pipe has not taken yet: it has 64 KB, the rest waits until it is
 * read, and `process.exit` would drop it.
 */
import { Writable } from "node:stream"

/** Whoever reads nothing for so long is not waited for any more. */
const usualStallMillis = 10_000

/** Everything before it has been taken when this is called back, or nobody is there any more. */
const whenTaken = (stream: Writable, then: () => void): void => {
  stream.once("close", then)
  stream.once("error", then)
  // what the program has put in the place of `write` is not asked
  Writable.prototype.write.call(stream, "", "utf8", then)
}

/** Calls back once: when the streams have been taken, or when nothing of them was taken for a while. */
export const whenTakenAll = (streams: ReadonlyArray<Writable>, stallMillis: number, then: () => void): void => {
  for (const stream of streams) while (stream.writableCorked > 0) stream.uncork()
  const waiting = new Set(streams.filter(({ destroyed, writableLength }) => !destroyed && writableLength > 0))
  if (waiting.size === 0) return then()
  const lengthOfAll = (): number => [...waiting].reduce((sum, { writableLength }) => sum + writableLength, 0)
  let length = lengthOfAll()
  const finish = (): void => {
    clearInterval(watch)
    waiting.clear()
    then()
  }
  const watch = setInterval(() => {
    if (lengthOfAll() === length) return finish()
    length = lengthOfAll()
  }, stallMillis)
  for (const stream of waiting) {
    whenTaken(stream, () => {
      if (waiting.delete(stream) && waiting.size === 0) finish()
    })
  }
}

export const whenWritten = (then: () => void): void =>
  whenTakenAll([process.stdout, process.stderr], usualStallMillis, then)
