/**
 * The hub of this process (of this thread, where it is one), and the links to all hubs.
 */
import { perThread } from "../memory/perThread.ts"
import { connectTo } from "./client.ts"
import type { Address } from "./door.ts"
import type { Link } from "./link.ts"
import { makeHub } from "./server.ts"
import type { Hub } from "./server.ts"

interface Hubs {
  readonly own: Hub
  readonly links: Map<string, Link>
}

const hubs = (): Hubs => perThread("hubs", () => ({ own: makeHub(), links: new Map() }))

export const ownHub = (): Hub => hubs().own

/** In a copy of the process: nothing of what the original talks with is the copy's. */
export const abandonHubs = (): void => {
  const { links, own } = hubs()
  own.link.abandon()
  for (const link of links.values()) link.abandon()
  links.clear()
}

/** The link to the hub at an address; connects where there is none. */
export const linkTo = (address: Address): Link => {
  const { links, own } = hubs()
  if (own.isAt(address)) return own.link
  const known = links.get(address.path)
  if (known !== undefined) return known
  const link = connectTo(address, () => links.delete(address.path))
  links.set(address.path, link)
  return link
}
