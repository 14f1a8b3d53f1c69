import type { Contender, Workload } from "./harness.ts"
import { cell } from "./orders.ts"
import type { CellOrder } from "./orders.ts"

type Step = CellOrder["step"]

const steps = 1_000_000
const contendedSteps = 20_000

const alone = (group: string, step: Step, names: readonly [ours: string, python: string, bare: string]) => {
  const order = cell({ method: "processes", processes: 1, step, steps })
  return [
    { name: names[0], arm: "ours.ts", role: "ours", group, order },
    { name: names[1], arm: "python.py", role: "rival", group, order },
    { name: names[2], arm: "inProcess.ts", role: "reference", group, order }
  ] satisfies ReadonlyArray<Contender>
}

const together = (group: string, step: Step, names: readonly [ours: string, python: string]) => {
  const order = cell({ method: "processes", processes: 3, step, steps: contendedSteps })
  return [
    { name: names[0], arm: "ours.ts", role: "ours", group, order },
    { name: names[1], arm: "python.py", role: "rival", group, order }
  ] satisfies ReadonlyArray<Contender>
}

const update = ["ours, `SharedValue.update`", "Python, `with v.get_lock(): v.value += 1`"] as const
const lock = ["ours, `SharedLock.withLock`", "Python, `with lock`"] as const

export const workload: Workload = {
  name: "cell",
  title: "One step on shared memory",
  about: [
    `One more in a shared 32-bit number, and a lock around nothing: alone in one process (${
      steps.toLocaleString("en")
    } steps), and by 3`,
    `processes at once (${
      contendedSteps.toLocaleString("en")
    } steps each), who find the lock held most of the time. Milliseconds for all steps.`
  ],
  unit: "ms",
  better: "less",
  figure: (ms) => ms,
  limitMillis: 120_000,
  groups: [
    { name: "update, alone" },
    { name: "lock, alone" },
    { name: "update, 3 processes" },
    { name: "lock, 3 processes" }
  ],
  contenders: [
    ...alone("update, alone", "update", [...update, "bare `Atomics.add`"]),
    ...alone("lock, alone", "lock", [...lock, "bare, two `Atomics.compareExchange`"]),
    ...together("update, 3 processes", "update", update),
    ...together("lock, 3 processes", "lock", lock)
  ]
}
