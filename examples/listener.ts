/**
 * Two programs that were started apart: one listens, the other connects, and both have the same key.
 *
 *     npm run example listener                       (both roles: starts the client as a program of its own)
 *     npm run example listener serve /tmp/words.sock
 *     npm run example listener ask /tmp/words.sock "how many words are these"
 *
 * The client may be started first: it tries again until the server is there.
 */
import { Config, Console, Effect, Stream } from "effect"
import { execFile } from "node:child_process"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Connection, Listener, Process } from "../src/index.ts"

interface Count {
  readonly text: string
  readonly words: number
}

// in earnest: 32 random bytes, from wherever you keep your secrets
const key = Config.String("WORDS_KEY").pipe(Config.withDefault("only for this example"))

const count = (text: string): Count => ({ text, words: text.split(/\s+/).filter((word) => word !== "").length })

/** Answers one client after the other. */
const serve = (path: string, clients: number) =>
  Effect.gen(function*() {
    const listener = yield* Listener.make({ address: { path }, authKey: yield* key })
    yield* Console.log("Server - listening")
    for (let i = 0; i < clients; i++) {
      yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* Listener.accept<Count, string>(listener)
        yield* Stream.run(Stream.map(Connection.toStream(client), count), Connection.toSink(client))
        yield* Console.log("Server - a client has left")
      }))
    }
  }).pipe(Effect.scoped)

const ask = (path: string, texts: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const server = yield* Listener.connect<string, Count>({ path }, { authKey: yield* key })
    for (const text of texts) {
      yield* Connection.send(server, text)
      const { words } = yield* Connection.receive(server)
      yield* Console.log(`Client - ${words} words: ${text}`)
    }
  }).pipe(Effect.scoped)

/** The other program: it knows nothing of this one but the path and the key. */
const other = (...args: ReadonlyArray<string>) =>
  Effect.callback<string, Error>((resume) => {
    const program = execFile(process.execPath, [fileURLToPath(import.meta.url), ...args], (error, stdout) =>
      resume(error === null ? Effect.succeed(stdout.trimEnd()) : Effect.fail(error)))
    return Effect.sync(() =>
      program.kill()
    )
  })

const both = Effect.gen(function*() {
  const path = join(tmpdir(), `words-${process.pid}.sock`)
  const [said] = yield* Effect.all([other("ask", path, "two programs", "one key and one address"), serve(path, 1)], {
    concurrency: 2
  })
  yield* Console.log(said)
  yield* Console.log("Done")
})

const [role, path, ...texts] = process.argv.slice(2)

const program: Effect.Effect<void, unknown> = path === undefined
  ? both
  : role === "serve"
  ? serve(path, Infinity)
  : ask(path, texts)

Process.runMain(program)
