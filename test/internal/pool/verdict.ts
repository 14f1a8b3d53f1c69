/** What becomes of a world that breaks a law: the law, and all that led there. */
import { assert } from "@effect/vitest"
import type { Command } from "../../../src/internal/pool/model.ts"
import type { World } from "./world.ts"

export const fault = (world: World, law: string): never => {
  const trace = world.log.map((entry) => `  ${"chunk" in entry ? describeSend(entry) : JSON.stringify(entry)}`)
  return assert.fail(`violated: ${law}\nafter\n${trace.join("\n")}`)
}

const describeSend = ({ chunk, worker }: Extract<Command, { readonly _tag: "Send" }>): string =>
  `Send to ${worker} run ${chunk.run} of job ${chunk.job.id}: items ${chunk.first} to ${
    chunk.first + chunk.items.length - 1
  }`

/** The law is a text without details: it is built for each check, also where it holds. */
export const hold = (world: World, holds: boolean, law: string): void => {
  if (!holds) fault(world, law)
}
