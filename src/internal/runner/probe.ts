/**
 * What a first copy of a fork server does before the server counts as one: what copies have died or hung of. When it ends
 * with code 0, and in time, copies live here.
 */
import { Buffer } from "node:buffer"
import { randomUUID } from "node:crypto"
import { readFile } from "node:fs/promises"
import { Worker } from "node:worker_threads"

/** A module with one function, which adds. */
const wasm = Buffer.from("AGFzbQEAAAABBwFgAn9/AX8DAgEABwcBA2FkZAAACgkBBwAgACABags=", "base64")

/** Node has it; its types are those of browsers. */
interface WithWebAssembly {
  readonly WebAssembly: {
    readonly instantiate: (
      bytes: Uint8Array
    ) => Promise<{ readonly instance: { readonly exports: { readonly add: (a: number, b: number) => number } } }>
  }
}

/** Young garbage and some that lives: the collector runs a few times, and has something to move. */
const collect = (): number => {
  const kept: Array<object> = []
  for (let i = 0; i < 400_000; i++) {
    const one = { index: i, text: `item ${i}`, list: [i, i + 1] }
    if (i % 16 === 0) kept.push(one)
  }
  return kept.length
}

/** Hot enough to be compiled. */
const compute = (): number => {
  let sum = 0
  for (let i = 0; i < 3_000_000; i++) sum = (sum * 31 + i) | 0
  return sum
}

export const addByWasm = async (a: number, b: number): Promise<number> => {
  const { instance } = await (globalThis as unknown as WithWebAssembly).WebAssembly.instantiate(wasm)
  return instance.exports.add(a, b)
}

const runThread = (): Promise<void> =>
  new Promise((resolve, reject) => {
    const worker = new Worker("", { eval: true, execArgv: [], env: {} })
    worker.once("error", reject)
    worker.once("exit", () => resolve())
  })

/** What needs no event loop. */
export const strain = (): void => {
  collect()
  compute()
  randomUUID()
}

const check = async (): Promise<void> => {
  strain()
  await new Promise((resolve) => setTimeout(resolve, 1))
  const [sum] = await Promise.all([addByWasm(1, 2), readFile("/proc/self/stat"), runThread()])
  if (sum !== 3) throw new Error(`1 + 2 is ${sum}`)
}

/** Node's names for what a preloaded module may leave: it goes on in each copy. */
export const timers: ReadonlySet<string> = new Set(["Immediate", "Timeout"])

/** Its end is the natural one, where no timer goes on. */
export const probe = (): void =>
  void check().then(() => {
    if (process.getActiveResourcesInfo().some((name) => timers.has(name))) process.exit()
  })
