/** The dispatcher in its world: what it is told, and what becomes of its commands. The laws watch both. */
import { begin, transition } from "../../../src/internal/pool/dispatcher.ts"
import type { Command, Event } from "../../../src/internal/pool/model.ts"
import { after, before, check } from "./laws.ts"
import type { Plan } from "./plans.ts"
import { addWorker, makeWorld, workerAt } from "./world.ts"
import type { Small, World } from "./world.ts"

export const startWorld = (plan: Plan, small?: Small): World => {
  const world = makeWorld(plan, small)
  for (const command of begin(world.state)) perform(world, command)
  return world
}

export const tell = (world: World, event: Event): void => {
  world.log.push(event)
  before(world, event)
  for (const command of transition(world.state, event)) {
    world.log.push(command)
    check(world, event, command)
    perform(world, command)
  }
  after(world)
}

const perform = (world: World, command: Command): void => {
  switch (command._tag) {
    case "Launch":
      return addWorker(world, command.worker)
    case "Send":
      return void workerAt(world, command.worker).outbox.push({ _tag: "Run", chunk: command.chunk })
    case "Cancel": {
      const worker = workerAt(world, command.worker)
      worker.outbox.push({ _tag: "Cancel", run: command.run })
      worker.asks.add(command.run)
      worker.graces.add(command.run)
      return
    }
    case "CancelEnded":
      workerAt(world, command.worker).asks.delete(command.run)
      workerAt(world, command.worker).graces.delete(command.run)
      workerAt(world, command.worker).again.delete(command.run)
      return
    case "AskAgain":
      workerAt(world, command.worker).again.set(command.run, command.late)
      return
    case "Kill":
      workerAt(world, command.worker).doomed = true
      return
    case "CloseWorker": {
      const worker = workerAt(world, command.worker)
      if (worker.phase === "starting") worker.doomed = true
      else worker.outbox.push({ _tag: "Close" })
    }
  }
}
