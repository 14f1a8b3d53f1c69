/** The methods of `bareRpc.ts`, behind a manager. */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { load } from "../ours.ts"
import { makeNumbers, Methods } from "./bareRpc.ts"
import type { Numbers } from "./bareRpc.ts"

const { Manager } = await load()

export class Service extends Context.Service<Service, Numbers>()("benchmark/Numbers") {}

export const numbers = Manager.make("Numbers", {
  module: import.meta.url,
  service: Service,
  methods: Methods,
  layer: Layer.sync(Service, makeNumbers)
})
