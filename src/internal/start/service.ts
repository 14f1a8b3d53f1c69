/**
 * The service behind `StartMethod`, apart from its layers: a child provides it to its tasks without loading what its
 * launchers import.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { ProcessError, StartMethodUnavailable } from "../../ProcessError.ts"
import { isCopy } from "../memory/copied.ts"
import type { Boot } from "../protocol/messages.ts"
import type { Border } from "../codec/values.ts"
import type { Launcher } from "./Launcher.ts"

/**
 * The names of the start methods.
 *
 * @category models
 * @since 0.1.0
 */
export type Name = "inline" | "threads" | "spawn" | "forkserver" | "fork"

/** How the service reaches its launcher; hidden from its users, who see the name. */
export const launcherKey = "~effect-multiprocessing/launcher" as const

/**
 * How a child comes to life. It is a service, so that one `Effect.provide` is the only difference between threads, OS
 * processes and the tests' inline mode; a task finds the one it was started with.
 *
 * @category services
 * @since 0.1.0
 */
export class StartMethod extends Context.Service<StartMethod, {
  readonly name: Name
}>()("effect-multiprocessing/StartMethod") {}

interface WithLauncher {
  readonly [launcherKey]: Launcher
}

export const makeService = (launcher: Launcher): StartMethod["Service"] => {
  const service: StartMethod["Service"] & WithLauncher = { name: launcher.name, [launcherKey]: launcher }
  return service
}

export const launcherOf = (service: StartMethod["Service"]): Launcher => {
  const launcher = (service as Partial<WithLauncher>)[launcherKey]
  if (launcher !== undefined) return launcher
  throw new TypeError(
    `StartMethod: the service in the context was not made by this library (it has no launcher). Use StartMethod.layerSpawn, layerThreads or layerInline.`
  )
}

export const copyStartsNothing = (): ProcessError =>
  new ProcessError({
    reason: new StartMethodUnavailable({
      startMethod: "fork",
      message:
        `This is a copy of a process (start method "fork"), and a copy starts no children. Start them in the process ` +
        "that was copied, or use StartMethod.layerForkServer or StartMethod.layerSpawn."
    })
  })

export interface Launchers {
  readonly launcherFor: (name: Name, options: unknown) => Launcher
}

/** The start method of a child's tasks: the one it was started with, loaded when it is first used. */
export const childStartMethod = (
  boot: Boot,
  border: Border,
  launchers: () => Promise<Launchers>
): StartMethod["Service"] => {
  const { startMethod } = boot.identity
  let launcher: Launcher | undefined // one: that of a fork server has a server
  return makeService({
    name: startMethod,
    border: { sharesMemory: border.sharesMemory },
    options: boot.startOptions,
    launch: (order) =>
      isCopy() ? Effect.fail(copyStartsNothing()) : Effect.flatMap(
        Effect.promise(launchers),
        ({ launcherFor }) => (launcher ??= launcherFor(startMethod, boot.startOptions)).launch(order)
      )
  })
}
