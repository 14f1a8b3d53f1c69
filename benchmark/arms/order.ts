import type { Order } from "../orders.ts"

/** The harness wrote it; it is not checked again. */
export const order: Order = JSON.parse(process.argv[2] ?? "{}")

export const report = (ms: number): void => {
  process.stdout.write(`${JSON.stringify({ ms })}\n`)
}

export const check = (what: string, actual: unknown, expected: unknown): void => {
  if (actual !== expected) throw new Error(`wrong result of ${what}: ${String(actual)} instead of ${String(expected)}`)
}
