import { Task } from "../ours.ts"
import * as functions from "./functions.ts"

export const square = Task.sync("square", { module: import.meta.url, handler: functions.square })

export const burn = Task.sync("burn", { module: import.meta.url, handler: functions.burn })

export const echo = Task.sync("echo", { module: import.meta.url, handler: functions.echo })
