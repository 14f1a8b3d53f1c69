/**
 * Streams that stand for something that is held: as long as somebody listens.
 */
import * as Stream from "effect/Stream"

export const lasting = <A>(first: A): Stream.Stream<A> => Stream.concat(Stream.succeed(first), Stream.never)
