/** A module with two tasks. */
import * as Task from "../../src/Task.ts"

const module = import.meta.url

export const encode = Task.sync("encode", { module, handler: (text: string) => text })
export const decode = Task.sync("decode", { module, handler: (text: string) => text })
