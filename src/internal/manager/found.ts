/**
 * What modules define by names, where it is needed for the first time: their module is imported then.
 */
import * as Effect from "effect/Effect"
import { ProcessError, TaskNotFound } from "../../ProcessError.ts"
import { importDefinitions } from "../codec/imported.ts"

/** By its module and name. */
export interface Named {
  readonly module: string
  readonly name: string
}

/** `say` is told whether its module could be imported. */
export const foundOrImported = <A>(
  { module, name }: Named,
  find: () => A | undefined,
  say: (isImported: boolean) => string
): Effect.Effect<A, ProcessError> =>
  Effect.suspend(() => {
    const known = find()
    if (known !== undefined) return Effect.succeed(known)
    const importing = Effect.tryPromise({
      try: () => importDefinitions(module),
      catch: (cause) =>
        new ProcessError({ reason: new TaskNotFound({ module, task: name, message: say(false), cause }) })
    })
    return Effect.flatMap(importing, () => {
      const found = find()
      return found !== undefined ? Effect.succeed(found) : Effect.fail(
        new ProcessError({ reason: new TaskNotFound({ module, task: name, message: say(true) }) })
      )
    })
  })
