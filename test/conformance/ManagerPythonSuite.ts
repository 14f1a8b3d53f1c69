/** What Python's own tests ask of managers, and no other suite does: PYTHON-MANAGER.md has the table. */
import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { Manager, Process, StartMethod } from "../../src/index.ts"
import * as T from "../fixtures/managerPython.ts"
import { bounded, numbers, reasonOf } from "./assertions.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const authKey = "a key of the tests"

const withObjects = <A, E, R>(use: Effect.Effect<A, E, R>) => Effect.provide(use, Manager.layerObjects())

export const suite = ({ claims, layer, name }: Method): void => {
  const law = laws(layer, 30_000)

  describe(`Python's managers on ${name}`, () => {
    law(
      "shutdown_timeout: a server whose layer is not released ends after its gracePeriod",
      () =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          yield* Effect.flatMap(T.Clinging, ({ pid }) => pid()).pipe(
            Effect.provide(Manager.layer(T.clinging, { gracePeriod: "50 millis" })),
            Scope.provide(scope)
          )
          yield* Scope.close(scope, Exit.void).pipe(bounded("the end of a server", 10))
        })
    )

    law(
      "nested values are copies: what a client does to one stays with it, an update changes what is there",
      () =>
        withObjects(Effect.gen(function*() {
          const map = yield* Manager.map<string, ReadonlyArray<number>>([["x", []]])
          const copy = (yield* map.get("x")) as Array<number> // it is the client's own
          copy.push(1)
          assert.deepStrictEqual(yield* map.get("x"), [])
          assert.deepStrictEqual(yield* map.update("x", T.append), [1])
          assert.deepStrictEqual(yield* map.get("x"), [1])
        }))
    )

    law(
      "test_list_proxy_in_list, test_nested_queue: objects in objects are the same ones for all",
      () =>
        withObjects(Effect.gen(function*() {
          type Inner = Manager.HostedList<Manager.HostedQueue<string> | string>
          const outer = yield* Manager.list<Inner>()
          const [inner, queue] = [
            yield* Manager.list<Manager.HostedQueue<string> | string>(),
            yield* Manager.queue<string>()
          ]
          yield* inner.push(queue)
          yield* outer.push(inner)
          yield* Effect.flatMap(Process.start(T.usesNested, outer), Process.join)
          assert.strictEqual(yield* queue.take(), "through two lists")
          assert.strictEqual(yield* inner.get(1), "pushed there")
          assert.strictEqual(yield* ((yield* outer.get(0))!).length(), 2)
        }))
    )

    if (claims.ownMemory) {
      law(
        "a process makes one connection to a server, however many proxies it is sent, and one more to another",
        () =>
          Effect.gen(function*() {
            const make = (count: number) => Effect.forEach(numbers(count), () => Manager.ref(0))
            const uses = (refs: ReadonlyArray<Manager.HostedRef<number>>) =>
              Effect.flatMap(Process.start(T.usesAll, refs), Process.join)
            yield* withObjects(Effect.gen(function*() {
              const refs = yield* make(40)
              assert.deepStrictEqual([yield* uses([]), yield* uses(refs.slice(0, 1)), yield* uses(refs)], [0, 1, 1])
              assert.strictEqual(yield* refs[39]!.get(), 2)
              assert.strictEqual(
                yield* withObjects(Effect.flatMap(make(40), (others) => uses([...refs, ...others]))),
                2
              )
            }))
          })
      )
    }

    if (claims.signals) {
      law("a server does not hear Ctrl-C: its parent decides", () =>
        Effect.gen(function*() {
          const pid = yield* Effect.flatMap(T.Clinging, (service) =>
            Effect.gen(function*() {
              const pid = yield* service.pid()
              for (const _ of numbers(3)) process.kill(pid, "SIGINT")
              assert.strictEqual(yield* service.pid(), pid)
              return pid
            })).pipe(Effect.provide(Manager.layer(T.clinging, { gracePeriod: "50 millis" })))
          assert.isAbove(pid, 0)
        }))
    }
  })
}

export const aloneSuite = (): void => {
  const law = laws(StartMethod.layerInline, 20_000)

  const lists = (address: Parameters<typeof Manager.connect>[1]["address"], texts: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const list = yield* Manager.list<string>()
      yield* list.pushAll(texts)
      return yield* list.values()
    }).pipe(Effect.scoped, Effect.provide(Manager.connect(Manager.objects, { address, authKey })))

  describe("Python's managers of other programs", () => {
    law("test_remote: texts of all languages cross TCP", () =>
      Effect.gen(function*() {
        const { address } = yield* Manager.serve(Manager.objects, { address: { host: "127.0.0.1", port: 0 }, authKey })
        const texts = [
          "hello world",
          "hall\u00e5 v\u00e4rlden",
          "\u043f\u0440\u0438\u0432\u0435\u0442",
          "\ud83d\ude00 \ud800",
          ""
        ]
        assert.deepStrictEqual(yield* lists(address, texts), texts)
      }))

    law(
      "over TCP a proxy in a payload is refused, alone and in a value: it lives on this machine",
      () =>
        Effect.gen(function*() {
          const { address } = yield* Manager.serve(Manager.objects, {
            address: { host: "127.0.0.1", port: 0 },
            authKey
          })
          yield* Effect.gen(function*() {
            const list = yield* Manager.list<unknown>()
            const other = yield* Manager.ref(1)
            for (const value of [other, { other }, list]) {
              assert.strictEqual(reasonOf(yield* Effect.exit(list.push(value)))._tag, "NotShareable")
            }
            assert.strictEqual(yield* list.push("a text"), 1)
            assert.strictEqual(yield* other.get(), 1)
          }).pipe(Effect.scoped, Effect.provide(Manager.connect(Manager.objects, { address, authKey })))
        })
    )

    law(
      "test_rapid_restart: at the address of one that has ended another one starts at once",
      () =>
        Effect.gen(function*() {
          const serve = (port: number) =>
            Manager.serve(Manager.objects, { address: { host: "127.0.0.1", port }, authKey })
          const { address } = yield* Effect.scoped(Effect.tap(serve(0), ({ address }) => lists(address, ["first"])))
          const port = "port" in address ? address.port : assert.fail("it is over TCP")
          for (const _ of numbers(5)) {
            const values = Effect.flatMap(serve(port), ({ address }) => lists(address, ["again"]))
            assert.deepStrictEqual(yield* Effect.scoped(values), ["again"])
          }
        })
    )

    law("without an address a server has a private one, which it tells", () =>
      Effect.gen(function*() {
        const { address } = yield* Manager.serve(Manager.objects, { authKey })
        assert.property(address, "path")
        assert.deepStrictEqual(yield* lists(address, ["private"]), ["private"])
      }))
  })
}
