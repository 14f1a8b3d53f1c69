/**
 * A proxy: an object with the methods of another one, which lives in the server process of a manager. What crosses is where
 * it lives, and how it is called; whoever receives it connects when it is first used.
 *
 * Effect-free: a child opens it with all other handles. What a call needs is loaded by the first one.
 */
import { createRequire } from "node:module"
import { perThread } from "../memory/perThread.ts"
import { crossing, householdNow, installMethods, makeHandle } from "./handle.ts"
import type { Handle } from "./handle.ts"

export const ProxyTypeId = "~effect-multiprocessing/Manager/Proxy" as const

/** As for a listener. */
type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/** How the server is reached. */
export interface Reference {
  readonly address: Address
  readonly key: Uint8Array
  readonly limit: number
}

/** The definition, by which module and name it is found, and the names of its methods. */
export interface ProxyData {
  readonly module: string
  readonly name: string
  readonly methods: ReadonlyArray<string>
  readonly streams: ReadonlyArray<string>
  /** Those that are called with the elements of their payload. */
  readonly spread: ReadonlyArray<string>
  /** The one among others of its kind; undefined for that which the server was started for. */
  readonly object: number | undefined
  /** In its server: the same for all proxies of what is one and the same there. */
  readonly identity: number | undefined
  readonly server: Reference
}

export interface Calls {
  /** An Effect, or a Stream for those methods that give one. */
  readonly call: (method: string, payload: unknown, isStream: boolean) => unknown
  /** An Effect that holds the object for a scope. */
  readonly hold: () => unknown
}

export interface ProxyHandle extends Handle {
  readonly [ProxyTypeId]: Calls["hold"]
}

/** What the proxies of this thread stand for. */
const standsFor = new WeakMap<object, ProxyData>()

/** Undefined where it is no proxy. */
export const proxyData = (proxy: object): ProxyData | undefined => standsFor.get(proxy)

const original = Symbol("original")

/** The same proxy, some methods of which do something else. What is held for the one is held as long as the other is there. */
export const sameProxy = (proxy: object, methods: object): object => {
  const { [crossing]: crosses, ...others } = proxy as ProxyHandle
  const handle = makeHandle({ ...others, ...methods }, crosses)
  const data = proxyData(proxy)
  if (data !== undefined) standsFor.set(handle, data)
  return Object.defineProperties(handle, {
    [ProxyTypeId]: { value: (proxy as ProxyHandle)[ProxyTypeId] },
    [original]: { value: proxy }
  })
}

/** Of the manager itself, and of what else cannot cross, `refusal` says why. */
export const makeProxy = (
  data: ProxyData,
  { call, hold }: Calls,
  refusal: () => string | undefined = () => undefined
) => {
  const methods: Record<string, unknown> = {}
  const spread = new Set(data.spread)
  const add = (method: string, isStream: boolean): void => {
    methods[method] = spread.has(method)
      ? (...payload: ReadonlyArray<unknown>) => call(method, payload, isStream)
      : (payload: unknown) => call(method, payload, isStream)
  }
  for (const method of data.methods) add(method, false)
  for (const method of data.streams) add(method, true)
  const handle = makeHandle(methods, { name: "Manager", refusal, write: () => data })
  standsFor.set(handle, data)
  return Object.defineProperty(handle, ProxyTypeId, { value: hold }) as unknown as ProxyHandle
}

// ---------------------------------------------------------------------------------------------------- opening

/** What a proxy does that came from elsewhere. */
interface Installed {
  /** As long as they are referred to, or run, the token is. */
  readonly callsOf: (data: ProxyData, token: object | undefined) => Calls
  /** Keeps its object in the server. What is given lets it go. */
  readonly holdFor: (data: ProxyData) => () => void
}

const installed = perThread("proxies", (): { calls: Installed | undefined } => ({ calls: undefined }))

export const installCalls = (calls: Installed): void => {
  installed.calls = calls
  installMethods()
}

/**
 * Whoever calls has loaded effect. A sync import, because the method has to give its Effect now: a loader that compiles for
 * `require` would load effect once more by it.
 */
const calls = (): Installed => {
  if (installed.calls === undefined) {
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js"
    createRequire(import.meta.url)(`../manager/travel.${extension}`)
  }
  return installed.calls!
}

/** Whoever was sent an object and has lost sight of it lets it go, some time later: a worker may live on for long. */
const unseen = new FinalizationRegistry<{ readonly leave: () => void }>(({ leave }) => leave())

/** It is in sight as long as one of its methods is, or one of its calls runs. */
const holdInSight = (data: ProxyData): object => {
  const token = {}
  const letGo = calls().holdFor(data)
  const household = householdNow()
  const held = {
    leave: () => {
      household?.delete(held)
      letGo()
    }
  }
  household?.add(held)
  unseen.register(token, held)
  return token
}

/** The object of the manager itself is there as long as its server: nobody has to hold it. */
export const openProxy = (data: ProxyData): ProxyHandle => {
  const token = data.object === undefined ? undefined : holdInSight(data)
  let own: Calls | undefined
  const find = (): Calls => own ??= calls().callsOf(data, token)
  return makeProxy(data, {
    call: (method, payload, isStream) => find().call(method, payload, isStream),
    hold: () => find().hold()
  })
}
