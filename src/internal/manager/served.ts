/**
 * The servers of this thread, by how they are reached: an object of one's own is held without a connection to oneself, and
 * before whoever has sent it lets it go.
 */
import { Buffer } from "node:buffer"
import type { Reference } from "../handles/manager.ts"
import { show } from "../listener/address.ts"
import { perThread } from "../memory/perThread.ts"
import type { Objects } from "./objects.ts"

type Reached = Pick<Reference, "address" | "key">

/** The same for all who reach a server in the same way. */
export const nameOf = ({ address, key }: Reached): string => `${show(address)} ${Buffer.from(key).toString("base64")}`

const served = perThread("managers served", () => new Map<string, Objects>())

export const objectsOf = (server: Reached): Objects | undefined => served.get(nameOf(server))

/** Gives how it ends. */
export const setServed = (server: Reached, objects: Objects): () => void => {
  const name = nameOf(server)
  served.set(name, objects)
  return () => {
    if (served.get(name) === objects) served.delete(name)
  }
}
