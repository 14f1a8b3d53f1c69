/**
 * Runs a world: some actions chosen from outside, and then everything that is left, until all is quiet.
 */
import { atRest } from "./laws.ts"
import { act, enabled, weights } from "./actions.ts"
import type { Action } from "./actions.ts"
import type { Plan } from "./plans.ts"
import { startWorld } from "./tell.ts"
import { fault } from "./verdict.ts"
import type { SimJob, World } from "./world.ts"

const choose = (actions: ReadonlyArray<Action>, choice: number): Action | undefined => {
  let total = 0
  for (const { _tag } of actions) total += weights[_tag]
  let rest = choice % Math.max(1, total)
  return actions.find(({ _tag }) => {
    rest -= weights[_tag]
    return rest < 0
  })
}

/** Patience: these come when nothing else can. */
const isLate = ({ _tag }: Action): boolean => _tag === "Ask" || _tag === "Grace" || _tag === "Elapse" || _tag === "Rest"

/** Its items end by themselves, or with a time limit. */
const isEndless = ({ plan }: SimJob): boolean =>
  !plan.timed && plan.items.some(({ kind }) => kind === "wait" || kind === "deaf" || kind === "stubborn")

const interruptEndless = (world: World): boolean => {
  const job = world.jobs.find((one) => one.phase === "live" && isEndless(one))
  if (job === undefined) return false
  world.interrupts++
  act(world, { _tag: "Interrupt", job })
  return true
}

/**
 * No fault comes any more, and every action that is possible is taken at some time: until this is so, or until nothing
 * is left to do.
 */
export const drain = (world: World, until: () => boolean = () => false): void => {
  world.draining = true
  for (let turn = 0; turn < 20_000; turn++) {
    if (until()) return
    const actions = enabled(world)
    const prompt = actions.filter((action) => !isLate(action))
    // another place each time, so that nobody is always first
    const action = prompt.length > 0 ? prompt[turn % prompt.length] : actions[0]
    if (action !== undefined) act(world, action)
    else if (!interruptEndless(world)) return
  }
  fault(world, "a pool comes to rest")
}

/** The whole life of a pool. */
export const live = (plan: Plan, choices: ReadonlyArray<number>): World => {
  const world = startWorld(plan)
  for (const choice of choices) {
    const action = choose(enabled(world), choice)
    if (action === undefined) break
    act(world, action)
  }
  finish(world)
  return world
}

export const finish = (world: World): void => {
  drain(world)
  atRest(world)
  if (world.pool === "open") act(world, { _tag: "Close" })
  drain(world)
  if (world.ended !== 1) fault(world, "a pool that closes ends")
}
