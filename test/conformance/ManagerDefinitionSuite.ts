/** The laws of what a manager may be defined as. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import { Manager } from "../../src/index.ts"
import { Note, Shapes, shapes } from "../fixtures/managerShapes.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

export const suite = ({ layer, name }: Method): void => {
  const law = laws(layer, 30_000)

  describe(`Manager's methods on ${name}`, () => {
    law("are called with the elements of a tuple, and with an array as it is", () =>
      Effect.provide(
        Effect.gen(function*() {
          const service = yield* Shapes
          assert.deepStrictEqual(yield* service.pair(1, 2), [1, 2])
          assert.deepStrictEqual(yield* service.optional(1), [1])
          assert.deepStrictEqual(yield* service.optional(1, 2), [1, 2])
          assert.deepStrictEqual(yield* service.either("a"), ["a"])
          assert.deepStrictEqual(yield* service.either(1, 2), [1, 2])
          assert.deepStrictEqual(yield* service.some([1, 2, 3]), [[1, 2, 3]])
          assert.deepStrictEqual(yield* service.rest([1, "a", "b"]), [[1, "a", "b"]])
          assert.deepStrictEqual(yield* service.mixed([1, 2]), [[1, 2]])
          assert.deepStrictEqual(yield* service.mixed("a"), ["a"])
        }),
        Manager.layer(shapes)
      ))

    law("give an object whose schema is annotated", () =>
      Effect.provide(
        Effect.gen(function*() {
          const service = yield* Shapes
          const note = yield* service.note("hello")
          assert.isTrue(Manager.isProxy(note))
          assert.strictEqual(yield* note.text(), "hello")
        }),
        Manager.layer(shapes)
      ))
  })
}

interface Any {
  readonly [method: string]: never
}

class Anything extends Context.Service<Anything, Any>()("test/Anything") {}

const nothing = Layer.succeed(Anything, {})

let last = 0

/** A definition that is made once, for what it says. */
const made = (...rpcs: ReadonlyArray<Rpc.Any>) => () =>
  Manager.make(`Anything ${++last}`, {
    module: import.meta.url,
    service: Anything,
    methods: RpcGroup.make(...rpcs) as never, // whatever they are
    layer: nothing
  })

const text = RpcGroup.make(Rpc.make("text", { success: Schema.String }))

/** A later turn: the module is evaluated again. */
const later: Effect.Effect<void> = Effect.callback((resume) => void setImmediate(() => resume(Effect.void)))

export const aloneSuite = (): void => {
  describe("Manager.make", () => {
    it("refuses a hosted object that is a part of something, and says where", () => {
      const parts: ReadonlyArray<readonly [Schema.Top, string]> = [
        [Schema.Struct({ note: Note }), "success.note"],
        [Schema.Struct({ deep: Schema.Array(Schema.Struct({ note: Note })) }), "success.deep[0].note"],
        [Schema.Option(Note), "success.value"],
        [Schema.NullOr(Note), "success"],
        [Schema.Tuple([Schema.String, Note.annotate({ title: "note" })]), "success[1]"],
        [Schema.Record(Schema.String, Note), "success[string]"]
      ]
      for (const [success, path] of parts) {
        assert.throws(
          made(Rpc.make("open", { success })),
          new RegExp(`"open" has the hosted "Note" in ${escaped(path)}\\.`)
        )
      }
      assert.throws(
        made(Rpc.make("open", { success: Note, stream: true })),
        /"open" has the hosted "Note" in success\./
      )
      assert.throws(made(Rpc.make("open", { error: Note })), /"open" has the hosted "Note" in error\./)
      made(Rpc.make("open", { success: Note }), Rpc.make("put", { payload: Schema.Struct({ note: Note }) }))()
    })

    it("refuses two objects of one name from different modules", () => {
      const other = Manager.hosted("Note", { module: "file:///elsewhere.ts", methods: text })
      assert.throws(
        made(Rpc.make("one", { success: Note }), Rpc.make("other", { success: other })),
        /two of the objects that it gives are called "Note", one in .*managerShapes\.ts and one in file:\/\/\/elsewhere\.ts/
      )
    })

    it.live("refuses a second definition of a name in a module, unless the module is evaluated again", () =>
      Effect.gen(function*() {
        const module = "file:///twice.ts"
        Manager.hosted("Twice", { module, methods: text })
        assert.throws(
          () => Manager.hosted("Twice", { module, methods: text }),
          /Manager\.hosted\("Twice"\): .*another definition/
        )
        assert.throws(
          () => Manager.make("Twice", { module, service: Anything, methods: RpcGroup.make() as never, layer: nothing }),
          /Manager\.make\("Twice"\): .*another definition/
        )
        yield* later
        Manager.hosted("Twice", { module, methods: text })
        Manager.struct("Twice", { module, schema: Schema.Struct({ a: Schema.String }) })
        assert.throws(
          () => Manager.struct("Twice", { module, schema: Schema.Struct({ a: Schema.Number }) }),
          /Manager\.struct\("Twice"\): .*another definition/
        )
      }))
  })
}

const escaped = (path: string): string => path.replaceAll(/[.[\]]/g, "\\$&")
