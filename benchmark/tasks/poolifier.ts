import type { TaskFunctions } from "poolifier"
import * as functions from "./functions.ts"

/** Its types allow a call without data; here is none. It has no way to move a result: what these return is copied. */
export const tasks = {
  square: functions.square,
  squareMoved: functions.squareInPlace,
  burn: functions.burn,
  echo: functions.echo,
  echoMoved: functions.echo
} as unknown as TaskFunctions<unknown, unknown>
