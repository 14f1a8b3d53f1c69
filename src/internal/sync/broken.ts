/**
 * A barrier that nobody passes any more.
 */
import * as Schema from "effect/Schema"

/**
 * The barrier is broken: one of the parties will not come. The message says why.
 *
 * @category errors
 * @since 0.1.0
 */
export class BarrierBroken extends Schema.TaggedError<BarrierBroken>()("BarrierBroken", {
  message: Schema.String
}) {}

/** `what` is called so by its users, and is made new by `reset`. */
export const brokenBecause = (what: string, reset: string, why: string): BarrierBroken =>
  new BarrierBroken({ message: `This ${what} is broken: ${why}. Use ${reset} when all parties may come again.` })
