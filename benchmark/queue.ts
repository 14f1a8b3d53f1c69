import type { Contender, Workload } from "./harness.ts"
import { queue } from "./orders.ts"

type Row = readonly [name: string, arm: string, role: Contender["role"], variant?: string]

const oneByOne: ReadonlyArray<Row> = [["ours, `offer` and `take`", "ours.ts", "ours"]]
const many: ReadonlyArray<Row> = [
  ["ours, `offerAll` and `toStream`", "ours.ts", "ours", "many"],
  ["ours, `offerAll` and `toStream` in chunks of 1024", "ours.ts", "ours", "many, in chunks"]
]
const python = "Python, `Queue`"
const rivals: ReadonlyArray<Row> = [
  [python, "python.py", "rival"],
  ["Python, `SimpleQueue`", "python.py", "rival", "SimpleQueue"]
]

const group = (name: string, each: number, items: number, ours: ReadonlyArray<Row>) =>
  [...ours, ...rivals].map(([contender, arm, role, variant]): Contender => ({
    name: contender,
    arm,
    role,
    group: name,
    order: queue({
      method: "processes",
      producers: each,
      consumers: each,
      items,
      ...(variant === undefined ? {} : { variant })
    })
  }))

const manyItems = 500_000
const fewItems = 20_000
const named = (items: number, rest: string): string => `${items.toLocaleString("en")} ${rest}`

const names = {
  two: named(manyItems, "items, 2 producers, 2 consumers"),
  one: named(manyItems, "items, 1 producer, 1 consumer"),
  single: named(fewItems, "items, one by one, 2 producers, 2 consumers")
}

export const workload: Workload = {
  name: "queue",
  title: "Small items through a queue",
  about: [
    "Whole numbers from the processes that offer them to those that take them, as many by each, after a tenth of them to",
    "warm up. Ours lies in the parent, which does nothing else. The clock runs from when all are ready until the last has",
    "taken its share; in chunks, until all is taken. Milliseconds for all items.",
    "Python's `put` returns before the queue has the item; our `offer` waits until it is accepted.",
    "Floor: 5x Python's `Queue`, with many at once."
  ],
  unit: "ms",
  better: "less",
  figure: (ms) => ms,
  limitMillis: 120_000,
  groups: [names.two, names.one, names.single].map((name) => ({ name, reference: python })),
  contenders: [
    ...group(names.two, 2, manyItems, many),
    ...group(names.one, 1, manyItems, many),
    ...group(names.single, 2, fewItems, oneByOne)
  ]
}
