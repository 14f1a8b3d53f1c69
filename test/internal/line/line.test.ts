import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import type { Scope } from "effect"
import { bounded } from "../../conformance/assertions.ts"
import { knock } from "../../../src/internal/hub/door.ts"
import { ownHub } from "../../../src/internal/hub/hubs.ts"
import { Kind } from "../../../src/internal/line/end.ts"
import type { Frame, Nature } from "../../../src/internal/line/end.ts"
import * as Line from "../../../src/internal/line/line.ts"
import { makePipe, openEnd, sendAway } from "../../../src/internal/line/pipe.ts"
import { decodeMessage, encodeMessage } from "../../../src/internal/line/message.ts"
import { socketWire } from "../../../src/internal/line/wire.ts"
import type { Wire } from "../../../src/internal/line/wire.ts"

const nature = (side: 0 | 1): Nature => ({ side, capacity: 4, sends: true, receives: true })

/** A pipe of which one end is away. */
const makeHalf = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => makePipe([nature(0), nature(1)])),
    ({ release }) => Effect.sync(release)
  ),
  ({ lines: [line, other] }) => ({ line, data: sendAway(other) })
)

interface Visitor {
  readonly wire: Wire
  readonly heard: ReadonlyArray<Frame>
  readonly until: (kind: Frame["kind"]) => Effect.Effect<void>
  readonly closed: Effect.Effect<void>
}

/** Somebody who knows the way to an end, and says what they like. */
const visit = (line: Line.Line): Effect.Effect<Visitor, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync((): Visitor => {
      const heard: Array<Frame> = []
      const closed = Deferred.makeUnsafe<void>()
      const waits = new Set<() => void>()
      const wire = socketWire(knock(ownHub().address(), line.ticket), {
        onFrames: (_, frames) => {
          heard.push(...frames)
          for (const check of waits) check()
        },
        onFlushed: () => {},
        onClose: () => Deferred.doneUnsafe(closed, Effect.void)
      })
      const until = (kind: Frame["kind"]): Effect.Effect<void> =>
        Effect.callback<void>((resume) => {
          const check = (): void => {
            if (heard.some((frame) => frame.kind === kind)) resume(Effect.void)
          }
          waits.add(check)
          check()
        }).pipe(bounded(`a frame of kind ${kind}`, 5))
      return { wire, heard, until, closed: Deferred.await(closed).pipe(bounded("the end of a visit", 5)) }
    }),
    ({ wire }) => Effect.sync(wire.destroy)
  )

const resume: Frame = { kind: Kind.Resume, epoch: 1, consumed: 0, arrived: 0 }

const text = (value: string) => encodeMessage(value, { sharesMemory: false })

const next = (line: Line.Line): Effect.Effect<unknown> =>
  Effect.callback<unknown>((done) => {
    const look = (): void => {
      const message = Line.receive(line)
      done(Effect.succeed(message === undefined ? Line.whyNotReceive(line) : decodeMessage(message)))
    }
    const stop = Line.whenReady(line, "receivers", look)
    return Effect.sync(stop)
  }).pipe(bounded("a message", 5))

const law = (title: string, body: () => Effect.Effect<unknown, never, Scope.Scope>) =>
  it.live(title, () => Effect.scoped(body()))

describe("a line", () => {
  law("takes what its other end says, and dies with it", () =>
    Effect.gen(function*() {
      const { line } = yield* makeHalf
      const { until, wire } = yield* visit(line)
      wire.write([resume])
      yield* until(Kind.Resume)
      wire.write([{ kind: Kind.Ack, consumed: 0 }, { kind: Kind.Data, messages: [text("hello")] }])
      assert.strictEqual(yield* next(line), "hello")
      wire.destroy()
      assert.strictEqual(yield* next(line), "ended")
    }))

  law("does not take one for dead that had knocked, and gave up before it was answered", () =>
    Effect.gen(function*() {
      const { data, line } = yield* makeHalf
      Line.sendNow(line, text("kept"))
      const { until, wire } = yield* visit(line)
      wire.write([resume])
      yield* until(Kind.Data)
      wire.destroy()
      const { closed: away, wire: nobody } = yield* visit(line)
      nobody.write([resume])
      nobody.destroy()
      yield* away
      const other = openEnd(data)
      assert.strictEqual(yield* next(other), "kept")
      Line.sendNow(other, text("and back"))
      assert.strictEqual(yield* next(line), "and back")
    }))

  law("turns away whoever does not know where they were", () =>
    Effect.gen(function*() {
      const { data, line } = yield* makeHalf
      const strange: ReadonlyArray<Frame> = [
        { kind: Kind.Ack, consumed: 0 },
        { kind: Kind.Resume, epoch: 1, consumed: 0, arrived: 5 },
        { kind: Kind.Resume, epoch: 1, consumed: 3, arrived: 2 }
      ]
      for (const frame of strange) {
        const { closed, heard, wire } = yield* visit(line)
        wire.write([frame])
        yield* closed
        assert.deepStrictEqual(heard, [])
      }
      const other = openEnd(data)
      Line.sendNow(other, text("it was not harmed"))
      assert.strictEqual(yield* next(line), "it was not harmed")
    }))

  law("ends when its other end speaks another language", () =>
    Effect.gen(function*() {
      const { line } = yield* makeHalf
      const { closed, until, wire } = yield* visit(line)
      wire.write([resume])
      yield* until(Kind.Resume)
      wire.write([{ kind: Kind.Data, messages: [text("before")] }, { kind: Kind.Over }])
      assert.strictEqual(yield* next(line), "before")
      assert.strictEqual(yield* next(line), "ended")
      yield* closed
    }))

  law("prefers a holder that has moved on to one that has not said so yet", () =>
    Effect.gen(function*() {
      const { line } = yield* makeHalf
      const early = yield* visit(line)
      early.wire.write([resume, { kind: Kind.Data, messages: [text("one")] }])
      assert.strictEqual(yield* next(line), "one")
      const late = yield* visit(line)
      late.wire.write([{ kind: Kind.Resume, epoch: 2, consumed: 0, arrived: 0 }])
      yield* late.until(Kind.Resume)
      yield* early.closed
      const answer = late.heard.find(({ kind }) => kind === Kind.Resume)
      assert.deepStrictEqual(answer, { kind: Kind.Resume, epoch: 0, consumed: 1, arrived: 1 })
      late.wire.write([{ kind: Kind.Data, messages: [text("two")] }])
      assert.strictEqual(yield* next(line), "two")
    }))
})
