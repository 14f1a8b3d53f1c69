/**
 * A queue of jobs between programs that were started apart: one serves it and hands out jobs, others do them.
 *
 *     npm run example job-queue                        (all roles: starts two workers as programs of their own)
 *     npm run example job-queue serve /tmp/jobs.sock
 *     npm run example job-queue work /tmp/jobs.sock
 *
 * A worker may be started first: it tries again until the queue is there.
 */
import { Config, Console, Effect, Fiber } from "effect"
import type { Scope } from "effect"
import { execFile } from "node:child_process"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Manager, Process } from "../src/index.ts"

interface Job {
  readonly number: number
}

interface Result {
  readonly number: number
  readonly square: number
}

const mostWorkers = 10

// in earnest: 32 random bytes, from wherever you keep your secrets
const key = Config.String("JOBS_KEY").pipe(Config.withDefault("only for this example"))

/** The same objects for whoever asks for these names. */
const queues = Effect.all({
  jobs: Manager.queue<Job | "enough">({ name: "jobs" }),
  results: Manager.queue<Result>({ name: "results" })
})

const serving = (path: string) =>
  Effect.flatMap(key, (authKey) => Manager.serve(Manager.objects, { address: { path }, authKey }))

/** The program that serves is a client, too. */
const using = <A, E>(path: string, use: Effect.Effect<A, E, Manager.Objects | Scope.Scope>) =>
  Effect.flatMap(
    key,
    (authKey) =>
      use.pipe(Effect.scoped, Effect.provide(Manager.connect(Manager.objects, { address: { path }, authKey })))
  )

/** A queue is there as long as somebody holds it: so this does until `workers` have ended. */
const handOut = <A, E>(numbers: ReadonlyArray<number>, workers: Effect.Effect<ReadonlyArray<A>, E>) =>
  Effect.gen(function*() {
    const { jobs, results } = yield* queues
    const working = yield* Effect.forkScoped(workers)
    for (const number of numbers) yield* jobs.offer({ number })
    const all = yield* Effect.replicateEffect(results.take(), numbers.length)
    for (const { number, square } of all.sort((a, b) => a.number - b.number)) {
      yield* Console.log(`${number} squared is ${square}`)
    }
    for (let i = 0; i < mostWorkers; i++) yield* jobs.offer("enough")
    yield* Console.log(`${(yield* Fiber.join(working)).length} workers have ended`)
  })

const doJobs = Effect.gen(function*() {
  const { jobs, results } = yield* queues
  for (let done = 0;; done++) {
    const job = yield* jobs.take()
    if (job === "enough") return yield* Console.log(`a worker has done ${done} jobs`)
    yield* results.offer({ number: job.number, square: job.number ** 2 })
  }
})

/** Another program: it knows nothing of this one but the path and the key. */
const other = (...args: ReadonlyArray<string>) =>
  Effect.callback<string, Error>((resume) => {
    const program = execFile(process.execPath, [fileURLToPath(import.meta.url), ...args], (error, stdout) =>
      resume(error === null ? Effect.succeed(stdout.trimEnd()) : Effect.fail(error)))
    return Effect.sync(() =>
      program.kill()
    )
  })

const [role, path = join(tmpdir(), `jobs-${process.pid}.sock`)] = process.argv.slice(2)

const two = Effect.all([other("work", path), other("work", path)], { concurrency: 2 })

const program = role === "work"
  ? using(path, doJobs)
  : role === "serve"
  ? Effect.andThen(serving(path), using(path, handOut(Array.from({ length: 20 }, (_, i) => i + 1), Effect.never)))
  : Effect.andThen(serving(path), using(path, handOut([1, 2, 3, 4, 5, 6], two)))

Process.runMain(Effect.scoped(program))
