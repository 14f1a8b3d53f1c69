/**
 * What a server process does: it builds the layer, listens at a private socket, says where, and answers until it is
 * interrupted.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Address } from "../listener/address.ts"
import type { Terms } from "../listener/authenticate.ts"
import { listen } from "../listener/listen.ts"
import type { Hall } from "../listener/hall.ts"
import type { Definition, Server } from "./definition.ts"

const serverOf = ({ server }: Definition): Server => server! // only such definitions are started

/** The layer is built before anybody can call, and released when nobody can any more. */
export const serve = (
  definition: Definition,
  address: Address | undefined,
  terms: Terms,
  what: string,
  leaseMillis: number
): Effect.Effect<Hall, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const { layer, service } = serverOf(definition)
    const context = yield* Layer.buildWithScope(layer, yield* Effect.scope)
    const hall = yield* listen(address, terms, what)
    const { host } = yield* Effect.promise(() => import("./server.ts"))
    yield* host(hall, terms, definition, Context.get(context, service), leaseMillis)
    return hall
  })
