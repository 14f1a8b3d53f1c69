/**
 * The objects that need no definition by the user: what they do in the server. Values are whatever crosses; nothing is known
 * of them here.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RcMap from "effect/RcMap"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Latch from "effect/Latch"
import { ProcessError } from "../../ProcessError.ts"
import { define, handOver } from "../manager/definition.ts"
import type { Around, Handed } from "../manager/definition.ts"
import { hostedSchema } from "../manager/hosted.ts"
import { lasting } from "../manager/lasting.ts"
import { makeValues } from "./queue.ts"
import type { Entry } from "./queue.ts"
import { barrierGroup, makeHostedBarrier } from "./barrier.ts"
import { makeWaiters, waitersGroup } from "./condition.ts"
import { exclusively } from "./exclusively.ts"
import { failure } from "./failure.ts"
import { makeMemory, memoryGroup } from "./memory.ts"
import { makeNamespace, namespaceGroup } from "./namespace.ts"
import { aroundPool, makeHostedPool, poolGroup } from "./pool.ts"
import { Objects } from "./service.ts"
import type { Giving, Kind, ObjectsService } from "./service.ts"
import { NamedTask, runUpdate } from "./task.ts"
import type { TaskName } from "./task.ts"
import { aroundPlaces, aroundUpdates, aroundValues } from "./update.ts"

// ---------------------------------------------------------------------------------------------------- kinds

const value = Schema.Unknown
const error = ProcessError

const ref = RpcGroup.make(
  Rpc.make("get", { success: value, error }),
  Rpc.make("set", { payload: value, error }),
  Rpc.make("getAndSet", { payload: value, success: value, error }),
  Rpc.make("setAndGet", { payload: value, success: value, error }),
  Rpc.make("getAndUpdate", { payload: NamedTask, success: value, error: failure }),
  Rpc.make("update", { payload: NamedTask, success: value, error: failure }),
  Rpc.make("updateWith", { payload: Schema.Tuple([NamedTask, value]), success: value, error: failure })
)

const map = RpcGroup.make(
  Rpc.make("get", { payload: value, success: value, error }),
  Rpc.make("has", { payload: value, success: Schema.Boolean, error }),
  Rpc.make("set", { payload: Schema.Tuple([value, value]), error }),
  Rpc.make("setAll", { payload: Schema.Array(Schema.Tuple([value, value])), error }),
  Rpc.make("getOrSet", { payload: Schema.Tuple([value, value]), success: value, error }),
  Rpc.make("remove", { payload: value, success: Schema.Boolean, error }),
  Rpc.make("size", { success: Schema.Number, error }),
  Rpc.make("entries", { success: Schema.Array(Schema.Tuple([value, value])), error }),
  Rpc.make("clear", { error }),
  Rpc.make("update", { payload: Schema.Tuple([value, NamedTask]), success: value, error: failure })
)

const list = RpcGroup.make(
  Rpc.make("get", { payload: Schema.Number, success: value, error }),
  Rpc.make("set", { payload: Schema.Tuple([Schema.Number, value]), success: Schema.Boolean, error }),
  Rpc.make("push", { payload: value, success: Schema.Number, error }),
  Rpc.make("pushAll", { payload: Schema.Array(value), success: Schema.Number, error }),
  Rpc.make("pop", { success: value, error }),
  Rpc.make("shift", { success: value, error }),
  Rpc.make("insert", { payload: Schema.Tuple([Schema.Number, value]), error }),
  Rpc.make("remove", { payload: Schema.Number, success: value, error }),
  Rpc.make("length", { success: Schema.Number, error }),
  Rpc.make("slice", { payload: Schema.Tuple([Schema.Number, Schema.Number]), success: Schema.Array(value), error }),
  Rpc.make("values", { success: Schema.Array(value), error }),
  Rpc.make("clear", { error }),
  Rpc.make("update", { payload: Schema.Tuple([Schema.Number, NamedTask]), success: value, error: failure })
)

const set = RpcGroup.make(
  Rpc.make("add", { payload: value, success: Schema.Boolean, error }),
  Rpc.make("has", { payload: value, success: Schema.Boolean, error }),
  Rpc.make("remove", { payload: value, success: Schema.Boolean, error }),
  Rpc.make("size", { success: Schema.Number, error }),
  Rpc.make("values", { success: Schema.Array(value), error }),
  Rpc.make("clear", { error })
)

const queue = RpcGroup.make(
  Rpc.make("offer", { payload: value, error }),
  Rpc.make("take", { success: handOver(value), error }),
  Rpc.make("poll", { success: handOver(Schema.Array(value)), error }),
  Rpc.make("size", { success: Schema.Number, error })
)

const semaphore = RpcGroup.make(
  Rpc.make("hold", { payload: Schema.Tuple([Schema.Number, Schema.Number]), error, stream: true }),
  Rpc.make("holdIfAvailable", { payload: Schema.Number, success: Schema.Boolean, error, stream: true }),
  Rpc.make("settled", { error })
)

const event = RpcGroup.make(
  Rpc.make("set", { error }),
  Rpc.make("clear", { error }),
  Rpc.make("isSet", { success: Schema.Boolean, error }),
  Rpc.make("wait", { error })
)

const module = import.meta.url

/** Of each kind: its name, its group, and what makes one of it. */
const hosted = (kind: Kind, methods: unknown, around?: Around, keeps = false): Schema.Codec<object> =>
  hostedSchema(define(`Objects.${kind}`, module, methods as RpcGroup.RpcGroup<Rpc.Any>, undefined, { around, keeps })) // types are erased

/** What keeps values. */
const keeping = (kind: Kind, methods: unknown, around?: Around) => hosted(kind, methods, around, true)

interface KindOfObject {
  readonly schema: Schema.Codec<object>
  readonly make: Make
  /** What all who give the same name have to say alike. */
  readonly agreed?: (initial: never) => string
}

type Make = (initial: never) => Effect.Effect<object, ProcessError, Scope.Scope>

const now = <A>(body: () => A) => Effect.sync(body)

const makeRef: Make = (initial: unknown) =>
  Effect.map(exclusively, (alone) => {
    let current = initial
    const store = (next: unknown): void => {
      current = next
    }
    return {
      get: () => now(() => current),
      set: (next: unknown) => alone(() => store(next)),
      getAndSet: (next: unknown) =>
        alone(() => {
          const before = current
          store(next)
          return before
        }),
      setAndGet: (next: unknown) =>
        alone(() => {
          store(next)
          return next
        }),
      getAndUpdate: (task: TaskName) => alone(() => runUpdate(task, current, store, { gives: "before" })),
      update: (task: TaskName) => alone(() => runUpdate(task, current, store)),
      updateWith: (task: TaskName, argument: unknown) =>
        alone(() => runUpdate(task, { value: current, argument }, store))
    }
  })

const makeMap: Make = (initial: Iterable<readonly [unknown, unknown]>) =>
  Effect.map(exclusively, (alone) => {
    const all = new Map(initial)
    return {
      get: (key: unknown) => now(() => all.get(key)),
      has: (key: unknown) => now(() => all.has(key)),
      set: (key: unknown, next: unknown) => alone(() => void all.set(key, next)),
      setAll: (entries: ReadonlyArray<readonly [unknown, unknown]>) =>
        alone(() => {
          for (const [key, next] of entries) all.set(key, next)
        }),
      getOrSet: (key: unknown, otherwise: unknown) =>
        alone(() => {
          if (!all.has(key)) all.set(key, otherwise)
          return all.get(key)
        }),
      remove: (key: unknown) => alone(() => all.delete(key)),
      size: () => now(() => all.size),
      entries: () => now(() => Array.from(all)),
      clear: () => alone(() => all.clear()),
      update: (key: unknown, task: TaskName) =>
        alone(() => runUpdate(task, all.get(key), (next) => void all.set(key, next), { hasPlaces: true }))
    }
  })

const makeList: Make = (initial: Iterable<unknown>) =>
  Effect.map(exclusively, (alone) => {
    const all = Array.from(initial)
    /** Counted from the end where it is negative; -1 where there is none. */
    const placeOf = (index: number): number => {
      const place = index < 0 ? all.length + index : index
      return Number.isInteger(place) && place < all.length ? place : -1
    }
    return {
      get: (index: number) => now(() => all[placeOf(index)]),
      set: (index: number, next: unknown) =>
        alone(() => {
          const place = placeOf(index)
          if (place >= 0) all[place] = next
          return place >= 0
        }),
      push: (next: unknown) => alone(() => all.push(next)),
      pushAll: (some: ReadonlyArray<unknown>) =>
        alone(() => {
          for (const one of some) all.push(one)
          return all.length
        }),
      pop: () => alone(() => all.pop()),
      shift: () => alone(() => all.shift()),
      insert: (index: number, next: unknown) => alone(() => void all.splice(index, 0, next)),
      remove: (index: number) =>
        alone(() => {
          const place = placeOf(index)
          return place < 0 ? undefined : all.splice(place, 1)[0]
        }),
      length: () => now(() => all.length),
      slice: (from: number, to: number) => now(() => all.slice(from, to)),
      values: () => now(() => all.slice()),
      clear: () => alone(() => void all.splice(0)),
      update: (index: number, task: TaskName) =>
        alone(() => {
          const place = placeOf(index)
          if (place < 0) return Effect.undefined
          return runUpdate(task, all[place], (next) => {
            all[place] = next
          }, { hasPlaces: true })
        })
    }
  })

const makeSet: Make = (initial: Iterable<unknown>) =>
  Effect.sync(() => {
    const all = new Set(initial)
    return {
      add: (one: unknown) =>
        now(() => {
          const isNew = !all.has(one)
          all.add(one)
          return isNew
        }),
      has: (one: unknown) => now(() => all.has(one)),
      remove: (one: unknown) => now(() => all.delete(one)),
      size: () => now(() => all.size),
      values: () => now(() => Array.from(all)),
      clear: () => now(() => all.clear())
    }
  })

const makeQueue: Make = (capacity: number) =>
  Effect.sync(() => {
    const all = makeValues(capacity)
    const handed = (entry: Entry, value: unknown = entry.value): Handed => ({
      value,
      putBack: () => all.putBack(entry)
    })
    const nothing: Handed = { value: [], putBack: () => {} }
    return {
      offer: (next: unknown) =>
        Effect.callback<void>((resume) => Effect.sync(all.offer(next, () => resume(Effect.void)))),
      take: () =>
        Effect.callback<Handed>((resume) => Effect.sync(all.take((entry) => resume(Effect.succeed(handed(entry)))))),
      poll: () =>
        now(() => {
          const entry = all.poll()
          return entry === undefined ? nothing : handed(entry, [entry.value])
        }),
      size: () => now(all.size)
    }
  })

const noSuchShare = (permits: number, count: number): RangeError =>
  new RangeError(
    `A hosted semaphore of ${permits} permits cannot give ${String(count)}: ask for 1 to ${permits} of them.`
  )

const noMoreOf = (permits: number, count: number, held: number): Error =>
  new Error(
    permits === 1
      ? "Manager.withLock: this fiber holds the lock already, and would wait for itself. It is not reentrant: take it once, " +
        "around all that needs it."
      : `Manager.withPermits: this fiber holds ${held} of the ${permits} permits, and would wait for itself to get ` +
        `${count} more. Take all that it needs at once.`
  )

/** Held as long as the stream is: whoever dies gives back what it had. */
const makeSemaphore: Make = (permits: number) =>
  Effect.map(Semaphore.make(permits), (all) => {
    const share = (count: number, give: () => Stream.Stream<unknown>): Stream.Stream<unknown> =>
      Number.isInteger(count) && count >= 1 && count <= permits ? give() : Stream.die(noSuchShare(permits, count))
    return {
      hold: (count: number, held: number) =>
        share(count, () =>
          held + count > permits
            ? Stream.die(noMoreOf(permits, count, held))
            : Stream.unwrap(Effect.as(all.takeScoped(count), lasting(undefined)))),
      holdIfAvailable: (count: number) =>
        share(count, () =>
          Stream.unwrap(Effect.map(
            Effect.acquireRelease(all.takeIfAvailable(count), (isHeld) => isHeld ? all.release(count) : Effect.void),
            (isHeld) => isHeld ? lasting(true) : Stream.succeed(false)
          ))),
      // the end of a hold came before it, and its release is synchronous: it has been dealt with
      settled: () => Effect.void
    }
  })

const makeEvent: Make = (isSet: boolean) =>
  Effect.map(Latch.make(isSet), (latch) => ({
    set: () => Effect.asVoid(latch.open),
    clear: () => Effect.asVoid(latch.close),
    isSet: () => now(() => latch.isOpen()),
    wait: () => latch.await
  }))

const semaphores = { schema: hosted("semaphore", semaphore), make: makeSemaphore }

const capacityOf = (capacity: number): string => Number.isFinite(capacity) ? `a capacity of ${capacity}` : "no capacity"
const permitsOf = (permits: number): string => permits === 1 ? "1 permit" : `${permits} permits`
const lockOf = (identity: number): string => String(identity)
const partiesOf = ({ parties }: { readonly parties: number }): string => `${parties} parties`

const kinds = {
  ref: { schema: keeping("ref", ref, aroundValues), make: makeRef },
  map: { schema: keeping("map", map, aroundValues), make: makeMap },
  list: { schema: keeping("list", list, aroundPlaces), make: makeList },
  set: { schema: keeping("set", set), make: makeSet },
  queue: { schema: keeping("queue", queue), make: makeQueue, agreed: capacityOf },
  semaphore: { ...semaphores, agreed: permitsOf },
  lock: semaphores,
  event: { schema: hosted("event", event), make: makeEvent },
  waiters: { schema: hosted("waiters", waitersGroup), make: () => makeWaiters, agreed: lockOf },
  barrier: { schema: hosted("barrier", barrierGroup), make: makeHostedBarrier, agreed: partiesOf },
  namespace: { schema: keeping("namespace", namespaceGroup, aroundUpdates), make: makeNamespace },
  pool: { schema: hosted("pool", poolGroup, aroundPool), make: makeHostedPool },
  memory: { schema: hosted("memory", memoryGroup), make: () => makeMemory }
} satisfies Readonly<Record<Kind, KindOfObject>>

// ---------------------------------------------------------------------------------------------------- the service

const Wanted = Schema.Struct({ name: Schema.UndefinedOr(Schema.String), initial: Schema.Unknown })

export const objectsGroup = RpcGroup.make(
  ...(Object.keys(kinds) as ReadonlyArray<Kind>).map((kind) =>
    // its keys are these
    Rpc.make(kind, { payload: Wanted, success: kinds[kind].schema, error: ProcessError })
  )
) as unknown as RpcGroup.RpcGroup<Rpc.Any> // the service says the rest

const doNotAgree = (kind: Kind, name: string, first: string, wanted: string): RangeError =>
  new RangeError(
    kind === "waiters"
      ? `Manager.condition: "${name}" has another lock. Give the same lock, or none, wherever it is asked for, or give it ` +
        "another name."
      : `Manager.${kind}: "${name}" has ${first}, and was asked for with ${wanted}. Say the same wherever it is asked for, ` +
        "or give it another name."
  )

/** Who comes first makes what has a name. */
const makeObjects: Effect.Effect<ObjectsService, never, Scope.Scope> = Effect.gen(function*() {
  const initials = new Map<string, unknown>()
  const named = yield* RcMap.make({
    lookup: (key: string) => {
      const kind: KindOfObject = kinds[key.slice(0, key.indexOf(" ")) as Kind] // as it is written below
      return Effect.suspend(() => {
        const initial = initials.get(key)
        return Effect.map(kind.make(initial as never), (made) => ({ made, initial })) // the constructors say what it is
      })
    }
  })
  const give = (kind: Kind): Giving => ({ initial, name }) => {
    const { agreed, make }: KindOfObject = kinds[kind]
    if (name === undefined) return make(initial as never) // as above
    const key = `${kind} ${name}`
    return Effect.suspend(() => {
      initials.set(key, initial)
      return Effect.ensuring(RcMap.get(named, key), Effect.sync(() => initials.delete(key)))
    }).pipe(Effect.flatMap(({ initial: first, made }) => {
      const [is, wanted] = [agreed?.(first as never) ?? "", agreed?.(initial as never) ?? ""] // of its kind
      return is === wanted ? Effect.succeed(made) : Effect.die(doNotAgree(kind, name, is, wanted))
    }))
  }
  const service = Object.fromEntries((Object.keys(kinds) as ReadonlyArray<Kind>).map((kind) => [kind, give(kind)]))
  return service as ObjectsService // of every kind
})

export const layerObjects: Layer.Layer<Objects> = Layer.effect(Objects, makeObjects)
