/**
 * Pipes: pairs of connected ends, through which processes talk.
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Connection, Pipe } from "effect-multiprocessing"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const [mine, theirs] = yield* Pipe.make<string>()
 *   // `theirs` may be sent to another process, in a payload or a message: it lives there then
 *   yield* Connection.send(mine, "hello")
 *   return yield* Connection.receive(theirs)
 * }))
 * ```
 *
 * The laws stand at `Connection`. A pipe belongs to the scope that made it: when that ends, both ends are closed, wherever
 * they are.
 *
 * @see `Connection` for what an end can do
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Connection } from "./Connection.ts"
import { connectionOf } from "./internal/handles/connection.ts"
import type { Codecs } from "./internal/handles/connection.ts"
import type { Nature, Side } from "./internal/line/end.ts"
import { makePipe } from "./internal/line/pipe.ts"
import { checkedCount } from "./internal/sync/checks.ts"
import type { ProcessError } from "./ProcessError.ts"

/** So many messages of one direction may be unread before `send` waits. */
const usualCapacity = 4096

type Directions = Pick<Nature, "sends" | "receives">

const bothWays: Directions = { sends: true, receives: true }

/** Who sends what, and how it is encoded. */
interface Plan {
  readonly directions: readonly [Directions, Directions]
  /** Of what the first end sends, and of what the second sends. */
  readonly schemas: readonly [unknown, unknown]
  readonly capacity: number
}

/** The types of the ends are what the schemas say. */
const acquire = ({ capacity, directions, schemas: [first, second] }: Plan) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const nature = (side: Side): Nature => ({ side, capacity, ...directions[side] })
        return makePipe([nature(0), nature(1)])
      }),
      ({ release }) => Effect.sync(release)
    ),
    ({ lines }) => {
      const codecs: readonly [Codecs, Codecs] = [{ send: first, receive: second }, { send: second, receive: first }]
      return [connectionOf(lines[0], codecs[0]), connectionOf(lines[1], codecs[1])] as const
    }
  )

/**
 * A pipe with two directions: both ends send and receive.
 *
 * **Options**
 *
 * - `schema`: of what the first end sends; `replySchema`: of what the second end sends (default: the same). Messages are
 *   encoded and decoded with them, so that classes arrive as classes. They do not cross with an end: the payload schema of
 *   the other side says them again, see `Connection.schema`.
 * - `capacity`: so many messages of each direction may be unread before `send` waits (default 4096); and never many more
 *   than 1 MiB of them, but always one.
 *
 * **Gotchas**
 *
 * An end that is sent to another process is closed here. When the scope ends, both ends are closed: whoever waits fails with
 * `Closed`, after what had arrived.
 *
 * @see {@link simplex} for one direction
 * @category constructors
 * @since 0.1.0
 */
export const make = <A = unknown, B = A>(options?: {
  readonly schema?: Schema.Codec<A, any> | undefined
  readonly replySchema?: Schema.Codec<B, any> | undefined
  readonly capacity?: number | undefined
}): Effect.Effect<readonly [Connection<A, B>, Connection<B, A>], ProcessError, Scope.Scope> =>
  Effect.suspend(() =>
    acquire({
      directions: [bothWays, bothWays],
      schemas: [options?.schema, options?.replySchema ?? options?.schema],
      capacity: checkedCount(options?.capacity ?? usualCapacity, 1, "Pipe.make: the capacity")
    })
  ) as unknown as Effect.Effect<readonly [Connection<A, B>, Connection<B, A>], ProcessError, Scope.Scope>

/**
 * A pipe with one direction: the receiving end and the sending end, in Python's order.
 *
 * **Details**
 *
 * Options as for {@link make}. What an end is not for fails with `Closed`.
 *
 * @see {@link make} for both directions
 * @category constructors
 * @since 0.1.0
 */
export const simplex = <A = unknown>(options?: {
  readonly schema?: Schema.Codec<A, any> | undefined
  readonly capacity?: number | undefined
}): Effect.Effect<readonly [Connection<never, A>, Connection<A, never>], ProcessError, Scope.Scope> =>
  Effect.suspend(() =>
    acquire({
      directions: [{ sends: false, receives: true }, { sends: true, receives: false }],
      schemas: [undefined, options?.schema],
      capacity: checkedCount(options?.capacity ?? usualCapacity, 1, "Pipe.simplex: the capacity")
    })
  ) as unknown as Effect.Effect<readonly [Connection<never, A>, Connection<A, never>], ProcessError, Scope.Scope>
