/** The module of the tasks that are closures, which `Process.forkSync` runs. */
export const closures = "effect-multiprocessing:forkSync"
