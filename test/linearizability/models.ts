/** What the hosted objects do when they are alone with one caller. */
import type { Call } from "../fixtures/managerModel.ts"
import type { Model } from "./search.ts"

type Step<State> = Record<
  string,
  (state: State, ...payload: ReadonlyArray<any>) => readonly [State, unknown] | undefined
>

const reads = new Set(["get", "has", "size", "length", "entries", "values", "slice", "all", "isSet", "wait"])

const modelOf = <State>(initial: State, steps: Step<State>): Model<State, Call> => ({
  initial,
  step: (state, [, method, ...payload]) => steps[method]!(state, ...payload),
  isRead: ([, method]) => reads.has(method),
  keyOf: (state) => JSON.stringify(state, (_, value: unknown) => value === undefined ? "undefined" : value)
})

// ---------------------------------------------------------------------------------------------------- a ref

export const ref = modelOf<number>(0, {
  get: (n) => [n, n],
  set: (_, next) => [next, undefined],
  getAndSet: (n, next) => [next, n],
  update: (n) => [n + 1, n + 1],
  updateWith: (n, more) => [n + more, n + more]
})

/** Of those who have had the lock. */
export const guarded = modelOf<number>(0, {
  add: (n, more) => [n + more, n + more],
  addIfAvailable: (n, more) => [n + more, n + more]
})

// ---------------------------------------------------------------------------------------------------- a map

type Entries = ReadonlyArray<readonly [string, number]>

const written = (entries: Entries, key: string, value: number): Entries => Array.from(new Map(entries).set(key, value))

const valueOf = (entries: Entries, key: string): number | undefined => new Map(entries).get(key)

export const map = modelOf<Entries>([], {
  get: (all, key) => [all, valueOf(all, key)],
  has: (all, key) => [all, valueOf(all, key) !== undefined],
  set: (all, key, value) => [written(all, key, value), undefined],
  setAll: (
    all,
    entries: Entries
  ) => [entries.reduce((some, [key, value]) => written(some, key, value), all), undefined],
  getOrSet: (all, key, value) => {
    const known = valueOf(all, key)
    return known === undefined ? [written(all, key, value), value] : [all, known]
  },
  remove: (all, key) => [all.filter(([one]) => one !== key), valueOf(all, key) !== undefined],
  update: (all, key) => {
    const next = (valueOf(all, key) ?? 0) + 1
    return [written(all, key, next), next]
  },
  size: (all) => [all, all.length],
  entries: (all) => [all, all],
  clear: () => [[], undefined]
})

// ---------------------------------------------------------------------------------------------------- a list

type Values = ReadonlyArray<number>

/** Counted from the end where it is negative; undefined where there is none. */
const placeIn = ({ length }: Values, index: number): number | undefined => {
  const place = index < 0 ? length + index : index
  return place >= 0 && place < length ? place : undefined
}

const changed = (
  all: Values,
  index: number,
  change: (value: number) => number
): readonly [Values, number | undefined] => {
  const place = placeIn(all, index)
  return place === undefined ? [all, undefined] : [all.with(place, change(all[place]!)), change(all[place]!)]
}

export const list = modelOf<Values>([], {
  get: (all, index) => [all, all.at(index)],
  set: (all, index, value) => [changed(all, index, () => value)[0], placeIn(all, index) !== undefined],
  push: (all, value) => [[...all, value], all.length + 1],
  pushAll: (all, values: Values) => [[...all, ...values], all.length + values.length],
  insert: (all, index, value) => [all.toSpliced(index, 0, value), undefined],
  slice: (all, from, to) => [all, all.slice(from, to)],
  pop: (all) => [all.slice(0, -1), all.at(-1)],
  shift: (all) => [all.slice(1), all[0]],
  remove: (all, index) => {
    const place = placeIn(all, index)
    return place === undefined ? [all, undefined] : [all.toSpliced(place, 1), all[place]]
  },
  update: (all, index) => changed(all, index, (n) => n + 1),
  length: (all) => [all, all.length],
  values: (all) => [all, all],
  clear: () => [[], undefined]
})

/** Of a list that only grows at its end, and becomes this one, its length is all that the answers depend on. */
export const growingTo = (all: Values) =>
  modelOf<number>(0, {
    push: (length) => [length + 1, length + 1],
    pushAll: (length, values: Values) => [length + values.length, length + values.length],
    get: (length, index) => [length, index < length ? all[index] : undefined],
    slice: (length, from, to) => [length, all.slice(from, Math.min(to, length))],
    length: (length) => [length, length]
  })

/** How many there are of something. */
export const amount = modelOf<number>(0, {
  change: (n, by) => [n + by, undefined],
  size: (n) => [n, n]
})

// ---------------------------------------------------------------------------------------------------- a set

export const set = modelOf<Values>([], {
  add: (all, value) => all.includes(value) ? [all, false] : [[...all, value], true],
  has: (all, value) => [all, all.includes(value)],
  remove: (all, value) => [all.filter((one) => one !== value), all.includes(value)],
  size: (all) => [all, all.length],
  values: (all) => [all, all],
  clear: () => [[], undefined]
})

// ---------------------------------------------------------------------------------------------------- a queue

export const queue = modelOf<Values>([], {
  offer: (all, value) => [[...all, value], undefined],
  take: ([first, ...others]) => first === undefined ? undefined : [others, first],
  poll: ([first, ...others]) => first === undefined ? [[], []] : [others, [first]],
  size: (all) => [all, all.length]
})

// ---------------------------------------------------------------------------------------------------- an event

export const event = modelOf<boolean>(false, {
  set: () => [true, undefined],
  clear: () => [false, undefined],
  isSet: (isSet) => [isSet, isSet],
  wait: (isSet) => isSet ? [isSet, undefined] : undefined
})

// ---------------------------------------------------------------------------------------------------- a namespace

export const namespace = modelOf<{ readonly left: number; readonly right: number }>({ left: 0, right: 0 }, {
  get: (all, attribute: "left" | "right") => [all, all[attribute]],
  all: (all) => [all, all],
  set: (all, attribute, value) => [{ ...all, [attribute]: value }, undefined],
  setAll: (all, some: object) => [{ ...all, ...some }, undefined],
  update: (all, attribute: "left" | "right") => {
    const next = all[attribute] + 1
    return [{ ...all, [attribute]: next }, next]
  },
  updateAll: ({ left, right }) => {
    const next = { left: left + 1, right: right + 1 }
    return [next, next]
  }
})

// ---------------------------------------------------------------------------------------------------- permits

/** Of two permits, what each of three clients has. Nobody waits, and nobody who has some takes more. */
export const permits = modelOf<Values>([0, 0, 0], {
  take: (held, count, client) =>
    held[client] === 0 && held.reduce((sum, n) => sum + n, count) <= 2
      ? [held.with(client, count), true]
      : [held, false],
  release: (held, client) => [held.with(client, 0), held[client]! > 0]
})

export const models = { ref, map, list, set, queue, event, namespace, permits } as Readonly<
  Record<string, Model<unknown, Call>>
> // of every state
