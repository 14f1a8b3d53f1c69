import { Task, whoami as answer } from "./whoami.mjs"

export const whoami = Task.sync("whoami", { module: import.meta.url, handler: answer })
