/**
 * Children that are OS processes: a fresh Node that boots the runner. It talks over inherited socket pairs, so there is
 * no file and no address. The README beside this file draws the descriptors.
 */
import { Buffer } from "node:buffer"
import type { StdioOptions } from "node:child_process"
import type { Readable, Writable } from "node:stream"
import { fromStreams } from "../channel/socket.ts"
import { makeWord } from "../memory/words.ts"
import { maxFrameBytes } from "../protocol/frames.ts"
import type { Boot, ToChild, ToParent } from "../protocol/messages.ts"
import { condemn, lastItem, questionTo, runIn } from "../protocol/progress.ts"
import type { LastItem, Question } from "../protocol/progress.ts"
import { capture } from "./capture.ts"
import { defaultStartMillis, launchChild, neverRan } from "./child.ts"
import { makeEnding, residentBytes } from "./ending.ts"
import type { Body, Launcher } from "./Launcher.ts"
import { startNode, statusOf, whyUnborn } from "./node.ts"
import type { SpawnOptions } from "./node.ts"

type Ask = (question: Question, run: number, answer: (answer: number) => void) => void

/** The thread at the other end answers each question with a number, in order. */
const askThrough = (alive: Readable & Writable): Ask => {
  const waiting: Array<(answer: number) => void> = []
  let received = Buffer.alloc(0)
  alive.on("error", () => {})
  alive.on("data", (block: Buffer) => {
    received = Buffer.concat([received, block])
    while (received.length >= 8) {
      const answer = received.readDoubleLE(0)
      received = received.subarray(8)
      waiting.shift()?.(answer)
    }
  })
  return (question, run, answer) => {
    waiting.push(answer)
    if (!alive.destroyed) alive.write(questionTo(question, run))
  }
}

/** The system had no descriptors left, or no processes: Node gives a child without streams. */
const unborn = (options: SpawnOptions, failed: Promise<Error>): Body => ({
  pid: 0,
  channel: {
    sharesMemory: false,
    transfers: false,
    post: () => {},
    listen: () => {},
    close: () => {}
  },
  onEnd: (listener) =>
    void failed.then((cause) => listener({ _tag: "Exited", code: neverRan }, whyUnborn(options, cause))),
  running: () => {},
  condemn: () => {},
  lastItem: () => undefined,
  memory: () => {},
  kill: () => {},
  stdout: undefined,
  stderr: undefined
})

const makeBody = (options: SpawnOptions, boot: Boot): Body => {
  const limit = options.maxMessageBytes ?? maxFrameBytes
  const captured = options.stdio === "capture"
  const output = captured ? "pipe" : "inherit"
  // 3: to the child, 4: back, 5: open as long as this process lives
  const stdio: StdioOptions = ["ignore", output, output, "pipe", "pipe", "pipe"]
  // Node throws for options that no process can have
  const child = startNode(options, "processMain", [String(limit), String(process.pid)], stdio)
  const failed = new Promise<Error>((resolve) => child.on("error", resolve))
  if (child.stdio === undefined) return unborn(options, failed)
  const [, stdout, stderr, toChild, fromChild, alive] = child.stdio as unknown as ReadonlyArray<Readable & Writable> // as asked for
  const ask = askThrough(alive!)
  const channel = fromStreams<ToChild, ToParent>(toChild!, fromChild!, limit)
  const errors = captured ? capture(stderr!, boot.once) : undefined
  let failure = ""
  let last: LastItem
  let word: ReturnType<typeof makeWord>
  /** The child has found the word: it has no thread that answers. */
  const isShared = (): boolean => word !== undefined && Atomics.load(word.words, word.isUsed) === 1
  const ending = makeEnding({
    words: () => failure === "" ? errors?.tail() ?? "" : failure,
    release: () => {
      if (isShared()) last = lastItem(word!.words)
      alive!.destroy()
      word?.release()
    }
  })

  void failed.then((cause) => {
    if (child.pid !== undefined) return // a signal that could not be sent: the child lives, or its exit is on the way
    failure = whyUnborn(options, cause)
    ending.drained()
    ending.ended({ _tag: "Exited", code: neverRan })
  })
  child.once("exit", (code, signal) => ending.ended(statusOf(code, signal)))
  fromChild!.once("close", ending.drained)

  return {
    pid: child.pid ?? 0,
    channel,
    shareWord: () => (word = makeWord())?.reference,
    onEnd: ending.onEnd,
    running: (answer) => {
      if (isShared()) answer(runIn(word!.words))
      else ask("r", 0, (run) => answer(run < 0 ? undefined : run))
    },
    condemn: (run, answer) => {
      if (isShared()) answer(condemn(word!.words, run))
      else ask("c", run, (run) => answer(run < 0 ? undefined : run))
    },
    lastItem: () => last,
    memory: (answer) => {
      if (isShared()) answer(residentBytes(child.pid!))
      else ask("m", 0, answer)
    },
    kill: (signal) => void child.kill(signal),
    stdout: captured ? capture(stdout!, boot.once) : undefined,
    stderr: errors
  }
}

export const spawn = (options: SpawnOptions): Launcher => ({
  name: "spawn",
  border: { sharesMemory: false },
  options,
  launch: (boot) => launchChild(boot, options.startMillis ?? defaultStartMillis, () => makeBody(options, boot))
})
