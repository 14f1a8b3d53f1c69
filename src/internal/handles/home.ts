/**
 * Where an object of a hub is at home, as one process sees it.
 */
import type { Address } from "../hub/door.ts"
import { gone } from "../memory/gone.ts"
import { linkTo, ownHub } from "../hub/hubs.ts"
import type { HubObject, Link, ObjectReference } from "../hub/link.ts"

export interface Home {
  readonly object: number
  /** Undefined for the owner. */
  readonly hub: Address | undefined
}

/** Of an object of this process. */
export const makeHome = (make: (isAlive: (slot: number) => boolean) => HubObject): Home => ({
  object: ownHub().put(make),
  hub: undefined
})

/** Its scope has ended: whoever asks, and whoever will, is told that it is closed. */
export const leaveHome = ({ object }: Home): void => ownHub().remove(object)

export const linkOf = ({ hub }: Home): Link => hub === undefined ? ownHub().link : linkTo(hub)

/** What crosses. Throws a `Gone` when its scope has ended. */
export const referTo = ({ hub, object }: Home): ObjectReference => {
  if (hub === undefined && !ownHub().has(object)) throw gone()
  return { hub: hub ?? ownHub().address(), object }
}

/** The same in every process. */
export const nameOf = ({ hub, object }: ObjectReference): string => `${hub.path} ${object}`

export const homeOf = ({ hub, object }: ObjectReference): Home => ({ hub, object })

/** Nobody waits for the answer. */
export const tell = (home: Home, operation: string, argument: unknown): void =>
  linkOf(home).tell(home.object, operation, argument)
