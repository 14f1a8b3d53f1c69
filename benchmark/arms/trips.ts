/** What the arms of the workloads that take several trips have in common. */
import type { InPlaceOrder, PayloadOrder, Trips, TypedOrder } from "../orders.ts"
import { median } from "../results.ts"
import { check } from "./order.ts"

/** The figure of an arm: the trips after those that warm it up. */
export const medianOf = ({ warmUp }: Trips, millis: ReadonlyArray<number>): number => median(millis.slice(warmUp))

/** All trips, one after the other; each says how long it took. */
export const takeTrips = async (order: Trips, trip: () => Promise<number>): Promise<number> => {
  const millis: Array<number> = []
  while (millis.length < order.warmUp + order.trips) millis.push(await trip())
  return medianOf(order, millis)
}

type Part = Float64Array<ArrayBuffer>

/** The numbers from 0 on. */
const fill = (parts: ReadonlyArray<Part>): ReadonlyArray<Part> => {
  let next = 0
  for (const part of parts) {
    for (let at = 0; at < part.length; at++) part[at] = next++
  }
  return parts
}

/** The numbers in parts of the same length. */
export const makeParts = ({ numbers, parts }: TypedOrder): ReadonlyArray<Part> =>
  fill(Array.from({ length: parts }, () => new Float64Array(numbers / parts)))

/** What has come back is filled again for the next trip: new arrays would be garbage to collect within its time. */
export const checkSquares = (
  { numbers, parts }: TypedOrder,
  results: ReadonlyArray<unknown>
): ReadonlyArray<Part> => {
  const length = numbers / parts
  check("the number of parts", results.length, parts)
  for (const [index, part] of (results as ReadonlyArray<Part>).entries()) {
    check("a part's length", part.length, length)
    for (const at of [0, length >> 1, length - 1]) check("a square", part[at], (index * length + at) ** 2)
  }
  return fill(results as ReadonlyArray<Part>)
}

const edge = 0xa5

export const makeBytes = ({ bytes }: PayloadOrder): Uint8Array<ArrayBuffer> => new Uint8Array(bytes).fill(edge)

/** What has come back is the payload of the next trip. */
export const checkBytes = ({ bytes }: PayloadOrder, result: unknown): Uint8Array<ArrayBuffer> => {
  const back = result as Uint8Array<ArrayBuffer>
  check("the kind of the result", back instanceof Uint8Array, true)
  check("the number of bytes", back.length, bytes)
  for (const at of [0, bytes >> 1, bytes - 1]) check("a byte", back[at], edge)
  return back
}

export type SharedNumbers = Float64Array<SharedArrayBuffer>

/** The ranges of the workers. */
export const rangesOf = ({ numbers, parts }: InPlaceOrder): ReadonlyArray<readonly [from: number, to: number]> =>
  Array.from({ length: parts }, (_, part) => [part * (numbers / parts), (part + 1) * (numbers / parts)])

export const fillShared = (numbers: SharedNumbers): void => {
  for (let at = 0; at < numbers.length; at++) numbers[at] = at
}

export const checkShared = (numbers: SharedNumbers): void => {
  for (const at of [0, numbers.length >> 1, numbers.length - 1]) check("a square", numbers[at], at ** 2)
}
