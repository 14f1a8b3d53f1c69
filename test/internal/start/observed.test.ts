import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Exit, Logger, Option, References, Tracer } from "effect"
import { Kind } from "../../../src/internal/protocol/messages.ts"
import type { ToParent } from "../../../src/internal/protocol/messages.ts"
import { makeEar } from "../../../src/internal/start/observed.ts"

const crossed = (value: unknown) => ({ value, marked: false })

const open = () => {
  const spans: Array<Tracer.NativeSpan & { ends: Array<readonly [bigint, Exit.Exit<unknown, unknown>]> }> = []
  const logs: Array<Record<string, unknown>> = []
  const context = Context.empty().pipe(
    Context.add(
      Tracer.Tracer,
      Tracer.make({
        span: (given) => {
          const span = Object.assign(new Tracer.NativeSpan(given), { ends: [] as any })
          const end = span.end.bind(span)
          span.end = (time, exit) => {
            span.ends.push([time, exit])
            end(time, exit)
          }
          spans.push(span)
          return span
        }
      })
    ),
    Context.add(
      References.CurrentLoggers,
      new Set([Logger.make(({ fiber }) => void logs.push({ ...fiber.getRef(References.CurrentLogAnnotations) }))])
    ),
    Context.add(References.CurrentLogAnnotations, { both: "of the call", call: 1, pid: 0 })
  ) as Context.Context<never>
  const ear = makeEar({
    identity: { name: "worker-1", path: [1], daemon: true, startMethod: "inline" },
    pid: 7,
    role: "worker"
  })
  const hear = (message: ToParent): void => assert.isTrue(ear.hear(message, () => context))
  return {
    ear,
    spans,
    logs,
    hear,
    start: (id: string, parent?: string): void =>
      hear([Kind.SpanStarted, 1, {
        id,
        traceId: "trace",
        parent,
        name: id,
        kind: "internal",
        startTime: 1n,
        sampled: true
      }]),
    end: (id: string, links: ReadonlyArray<string> = []): void =>
      hear([Kind.SpanEnded, 1, {
        id,
        endTime: 9n,
        attributes: crossed({}),
        events: [],
        links: links.map((spanId) => ({ traceId: "t", spanId, attributes: crossed({}) })),
        failure: undefined
      }])
  }
}

describe("what a child tells", () => {
  it("of spans: each ends once, as it has ended; at the end of the child those that are left, interrupted", () => {
    const { ear, end, spans, start } = open()
    start("done")
    start("left")
    end("done")
    end("done")
    ear.close()
    ear.close()
    const [done, left] = spans
    assert.deepStrictEqual(done!.ends, [[9n, Exit.void]])
    assert.strictEqual(left!.ends.length, 1)
    const [, exit] = left!.ends[0]!
    assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
  })

  it("of spans: parents and links are those of the parent's tracer where it has them", () => {
    const { end, spans, start } = open()
    start("above")
    start("below", "above")
    end("below", ["above", "elsewhere"])
    const [above, below] = spans
    assert.strictEqual(Option.getOrThrow(below!.parent), above)
    assert.strictEqual(below!.links[0]!.span, above)
    assert.deepStrictEqual([below!.links[1]!.span.spanId, below!.links[1]!.span.traceId], ["elsewhere", "t"])
  })

  it("of logs: annotations of the task come before those of the call, and who speaks before both", () => {
    const { hear, logs } = open()
    hear([Kind.Log, 1, {
      level: "Info",
      message: crossed(["text"]),
      annotations: crossed({ both: "of the task", task: 2, worker: "another" }),
      spans: [],
      cause: undefined,
      date: 0
    }])
    assert.deepStrictEqual(logs, [{ both: "of the task", call: 1, task: 2, pid: 7, worker: "worker-1" }])
  })
})
