/**
 * What a child is told first.
 */
import type * as Context from "effect/Context"
import type { InitializerOrder } from "../codec/registry.ts"
import type { Boot, Crossed } from "../protocol/messages.ts"
import type { Launcher } from "./Launcher.ts"
import { logLevelOf } from "./observed.ts"
import { nextPath } from "./tree.ts"
import type { Self } from "./tree.ts"

/** An initializer with its payload made ready to cross. */
export type EncodedInitializer = InitializerOrder & { readonly encoded: Crossed }

export interface BootOptions extends Pick<Boot, "once" | "maxMemory"> {
  readonly creator: Self
  readonly launcher: Launcher
  readonly daemon: boolean
  /** Its name, or how that is made of its place in the tree. */
  readonly name: string | ((path: ReadonlyArray<number>) => string)
  readonly initializer: EncodedInitializer | undefined
  readonly context: Context.Context<never>
}

export const makeBoot = (options: BootOptions): Boot => {
  const { context, creator, daemon, initializer, launcher, maxMemory, name, once } = options
  const path = nextPath(creator.path)
  return {
    identity: { name: typeof name === "string" ? name : name(path), path, daemon, startMethod: launcher.name },
    parent: { name: creator.name, pid: creator.pid },
    startOptions: launcher.options,
    initializer: initializer === undefined ? undefined : {
      module: initializer.definition.module,
      name: initializer.definition.name,
      payload: initializer.encoded
    },
    once,
    maxMemory,
    logLevel: logLevelOf(context)
  }
}
