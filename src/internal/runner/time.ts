/**
 * The time of a child. `performance.now` would give the same, but a child that has started has not loaded `node:perf_hooks` yet, which
 * takes longer than all that comes until its first result.
 */

/** Milliseconds since some time in the past, as a number with fractions. */
export const nowMillis = (): number => {
  const time = process.hrtime()
  return time[0] * 1e3 + time[1] / 1e6
}
