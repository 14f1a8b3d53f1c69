import { Effect } from "effect"
import { Task, whoami as answer } from "./whoami.mjs"

export const whoami = Task.make("whoamiWithEffect", {
  module: import.meta.url,
  handler: () => Effect.sync(answer)
})
