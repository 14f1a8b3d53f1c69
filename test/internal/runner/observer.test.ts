import { assert, describe, it } from "@effect/vitest"
import { Context, Exit, Option, Tracer } from "effect"
import { Kind } from "../../../src/internal/protocol/messages.ts"
import type { ToParent } from "../../../src/internal/protocol/messages.ts"
import { forwardingTracer, withRun } from "../../../src/internal/runner/observer.ts"

const parent = Context.get(
  withRun(Context.empty(), 3, {
    logLevel: "Info",
    span: { traceId: "a".repeat(32), spanId: "b".repeat(16), sampled: true, told: true }
  }) as Context.Context<Tracer.ParentSpan>,
  Tracer.ParentSpan
)

const open = () => {
  const said: Array<ToParent> = []
  const tracer = forwardingTracer({
    border: { sharesMemory: false },
    say: (message) => void said.push(message),
    encodeCause: () => ({ _tag: "Cause", reasons: [] })
  })
  const span = (more: Partial<Parameters<Tracer.Tracer["span"]>[0]> = {}): Tracer.Span =>
    tracer.span({
      name: "span",
      parent: Option.some(parent),
      annotations: Context.empty(),
      links: [],
      startTime: 1n,
      kind: "internal",
      root: false,
      sampled: true,
      ...more
    })
  return { said, span, kinds: (): ReadonlyArray<number> => said.map(([kind]) => kind) }
}

describe("a span", () => {
  it("below one that is told is told, at its start and once at its end", () => {
    const { kinds, said, span } = open()
    const told = span()
    assert.deepStrictEqual(kinds(), [Kind.SpanStarted])
    told.end(5n, Exit.void)
    told.end(6n, Exit.void)
    assert.deepStrictEqual(kinds(), [Kind.SpanStarted, Kind.SpanEnded])
    const [, run, end] = said[1] as Extract<ToParent, readonly [typeof Kind.SpanEnded, ...ReadonlyArray<unknown>]>
    assert.deepStrictEqual([run, end.id, end.endTime], [3, told.spanId, 5n])
  })

  it("that is not sampled, or a new root, or below one that is not told, is not told", () => {
    const { said, span } = open()
    for (const more of [{ sampled: false }, { root: true }, { parent: Option.none() }]) span(more).end(5n, Exit.void)
    assert.deepStrictEqual(said, [])
  })

  it("below one that is not sampled, but in a run, is told when it is", () => {
    const { kinds, span } = open()
    span({ parent: Option.some(span({ sampled: false })) })
    assert.deepStrictEqual(kinds(), [Kind.SpanStarted])
  })
})
