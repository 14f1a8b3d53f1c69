/** Tasks that go wrong in every way that a ProcessError tells of. A child imports this file natively. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as Initializer from "../../src/Initializer.ts"
import * as Pool from "../../src/Pool.ts"
import * as Process from "../../src/Process.ts"
import { Closed, ProcessError } from "../../src/ProcessError.ts"
import * as Task from "../../src/Task.ts"

const module = import.meta.url
const beside = (name: string): string => new URL(name, module).href

export const square = Task.sync("square", { module, handler: (x: number) => x * x })
export const echo = Task.sync("echo", { module, handler: (value: unknown) => value })
export const sleeps = Task.make("sleeps", { module, handler: () => Effect.never })

// ---------------------------------------------------------------------------------------------------- ends

export const exits = Task.sync("exits", {
  module,
  handler: (code: number): number => process.exit(code)
})
export const killsItself = Task.sync("killsItself", {
  module,
  handler: (): number => {
    process.kill(process.pid, "SIGKILL")
    for (;;);
  }
})
export const throwsLater = Task.make("throwsLater", {
  module,
  handler: (): Effect.Effect<never> => {
    setImmediate(() => {
      throw new TypeError("nobody waits for this")
    })
    return Effect.never
  }
})

// ---------------------------------------------------------------------------------------------------- values

const Sizes = Schema.Struct({ sizes: Schema.Array(Schema.Option(Schema.Number)) })
export const typed = Task.make("typed", {
  module,
  payload: Sizes,
  handler: ({ sizes }) => Effect.succeed(sizes.filter(Option.isSome).length)
})
/** Leaves as it is, and cannot be read where it arrives. */
const Unreadable = Schema.String.pipe(
  Schema.decodeTo(Schema.String, {
    decode: SchemaGetter.transform((_: string): string => {
      throw new Error("this text is unreadable")
    }),
    encode: SchemaGetter.passthrough()
  })
)
export const readsNothing = Task.make("readsNothing", { module, payload: Unreadable, handler: () => Effect.void })
export const writesNothing = Task.make("writesNothing", {
  module,
  success: Unreadable,
  handler: () => Effect.succeed("text")
})
export const givesWrongType = Task.make("givesWrongType", {
  module,
  success: Schema.Struct({ count: Schema.Number }),
  handler: () => Effect.succeed({ count: "three" } as unknown as { readonly count: number }) // wrong on purpose
})
export const givesFunction = Task.sync("givesFunction", {
  module,
  handler: (): unknown => ({ list: [{ callback: () => 1 }] })
})
export const givesIterator = Task.sync("givesIterator", { module, handler: (): unknown => ({ all: [1].values() }) })
export const failsWithFunction = Task.make("failsWithFunction", {
  module,
  handler: (): Effect.Effect<never, unknown> => Effect.fail({ reasons: [() => 1] })
})
export const givesMuch = Task.sync("givesMuch", { module, handler: (length: number) => "x".repeat(length) })
export const throwsMuch = Task.sync("throwsMuch", {
  module,
  handler: (length: number): number => {
    throw new Error("x".repeat(length))
  }
})
export const givesPool = Task.make("givesPool", {
  module,
  handler: () => Effect.map(Pool.make({ processes: 1 }), (pool): unknown => ({ pool }))
})
export const givesProcess = Task.make("givesProcess", {
  module,
  handler: () => Effect.map(Process.start(square, 3), (child): unknown => [child])
})

/** Fails with a ProcessError of its own, that crosses by its schema. */
export const failsAtBorder = Task.make("failsAtBorder", {
  module,
  error: ProcessError,
  handler: (message: string) => Effect.fail(new ProcessError({ reason: new Closed({ what: "Queue", message }) }))
})

// ---------------------------------------------------------------------------------------------------- elsewhere

/** Tasks that other modules are said to define. */
export const notThere = Task.sync("notThere", { module: beside("empty.ts"), handler: () => 0 })
export const misnamed = Task.sync("misnamed", { module: beside("unguarded.ts"), handler: () => 0 })
export const nowhere = Task.sync("nowhere", { module: beside("nowhere.ts"), handler: () => 0 })
export const broken = Task.sync("broken", { module: beside("throwing.ts"), handler: () => 0 })

// ---------------------------------------------------------------------------------------------------- initializers

export const fine = Initializer.make("fine", { module, layer: (_: unknown) => Layer.empty })
export const fails = Initializer.make("fails", {
  module,
  layer: (why: string) => Layer.effectDiscard(Effect.fail(new Error(why)))
})
export const ends = Initializer.make("ends", {
  module,
  layer: (code: number) => Layer.effectDiscard(Effect.sync(() => process.exit(code)))
})
export const notThereEither = Initializer.make("notThereEither", {
  module: beside("empty.ts"),
  layer: (_: void) => Layer.empty
})
export const brokenToo = Initializer.make("brokenToo", {
  module: beside("throwing.ts"),
  layer: (_: void) => Layer.empty
})
