/**
 * Proxies that came from elsewhere: they find their definition by its module and name, and share one connection to each
 * server. It is made by the first call, keeps no process alive, and is made anew when it was lost.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ProcessError } from "../../ProcessError.ts"
import { installCalls } from "../handles/manager.ts"
import type { Calls, ProxyData, Reference } from "../handles/manager.ts"
import { perThread } from "../memory/perThread.ts"
import { linkIn, lostCall, usualSilenceMillis, wishFor } from "./connect.ts"
import type { LinkOptions } from "./connect.ts"
import { findDefinition } from "./definition.ts"
import type { Definition } from "./definition.ts"
import { foundOrImported } from "./found.ts"
import type { Link } from "./link.ts"
import { call, callStream, hold, holdOn } from "./callee.ts"
import type { Callee } from "./callee.ts"
import { nameOf, objectsOf } from "./served.ts"

// ---------------------------------------------------------------------------------------------------- connections

interface Shared {
  readonly coming: Deferred.Deferred<Link, ProcessError>
  /** When it has come. */
  link: Link | undefined
}

const links = perThread("manager links", () => new Map<string, Shared>())

/** A link of this process, for proxies that come back to it. It is forgotten when it is lost. */
export const shareLink = (reference: Reference, link: Link): void => {
  const name = nameOf(reference)
  const shared: Shared = { coming: Deferred.makeUnsafe(), link }
  Deferred.doneUnsafe(shared.coming, Exit.succeed(link))
  links.set(name, shared)
  link.whenLost(() => {
    if (links.get(name) === shared) links.delete(name)
  })
}

const options: LinkOptions = { keepsAlive: false, silenceMillis: usualSilenceMillis }

const connect = (reference: Reference): Shared => {
  const name = nameOf(reference)
  const shared: Shared = { coming: Deferred.makeUnsafe(), link: undefined }
  links.set(name, shared)
  const scope = Scope.makeUnsafe()
  const forget = (): void => {
    if (links.get(name) === shared) links.delete(name)
    Effect.runFork(Scope.close(scope, Exit.void))
  }
  // a fiber of its own: whoever calls first may be interrupted
  Effect.runFork(Effect.onExit(linkIn(scope, wishFor(reference, "Manager"), options), (exit) =>
    Effect.sync(() => {
      if (Exit.isSuccess(exit)) {
        shared.link = exit.value
        exit.value.whenLost(forget)
      } else {
        forget()
      }
      Deferred.doneUnsafe(shared.coming, exit)
    })))
  return shared
}

export const linkTo = (reference: Reference): Effect.Effect<Link, ProcessError> => {
  const name = nameOf(reference)
  return Effect.suspend(() => Deferred.await((links.get(name) ?? connect(reference)).coming))
}

const linkNowTo = (reference: Reference): () => Link | undefined => {
  const name = nameOf(reference)
  return () => links.get(name)?.link
}

// ---------------------------------------------------------------------------------------------------- definitions

/** Nothing is known of the method yet: it cannot say whether it may fail so. */
const definitionOf = (data: ProxyData): Effect.Effect<Definition> => {
  const { module, name } = data
  return Effect.orDie(foundOrImported(data, () => findDefinition(module, name), (isImported) =>
    isImported
      ? `The module ${module} defines no manager "${name}". Is it the module that the definition names with import.meta.url?`
      : `The module ${module} of the manager "${name}" cannot be imported.`))
}

const callsOf = (data: ProxyData, token: object | undefined): Calls => {
  let callee: Callee | undefined
  const find = Effect.suspend(() =>
    callee !== undefined ? Effect.succeed(callee) : Effect.map(definitionOf(data), (definition) =>
      callee = {
        definition,
        object: data.object,
        identity: data.identity,
        link: linkTo(data.server),
        linkNow: linkNowTo(data.server),
        server: data.server,
        token,
        whyLost: (method) => Effect.succeed(lostCall(definition, method, data.server))
      })
  )
  return {
    call: (method, payload, isStream) =>
      isStream
        ? Stream.unwrap(Effect.map(find, (callee) => callStream(callee, method, payload)))
        : callee === undefined
        ? Effect.flatMap(find, (callee) => call(callee, method, payload))
        : call(callee, method, payload),
    hold: () => data.object === undefined ? Effect.void : Effect.flatMap(find, (callee) => hold(callee, data.object!))
  }
}

/** Whoever has sent it holds it meanwhile. */
const firstMillis = 10_000

/** One of a server of this thread, which is there, is held at once. */
const holdHere = ({ object, server }: ProxyData): (() => void) | undefined => {
  const objects = objectsOf(server)
  if (objects?.find(object!) === undefined) return undefined
  const scope = Scope.makeUnsafe()
  Effect.runSync(Scope.provide(objects.hold(object!, undefined), scope))
  return () => void Effect.runFork(Scope.close(scope, Exit.void))
}

/** From now on it is held here too. What is given lets it go. */
const holdFor = (data: ProxyData): () => void => {
  const here = holdHere(data)
  if (here !== undefined) return here
  const { object, server } = data
  const holding = holdOn(linkTo(server), object!, { firstMillis }) // it is one among others
  const fiber = Effect.runFork(Effect.ignoreCause(holding))
  return () => void Effect.runFork(Fiber.interrupt(fiber))
}

installCalls({ callsOf, holdFor })
