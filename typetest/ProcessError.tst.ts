import { Effect } from "effect"
import type { Schema } from "effect"
import { describe, expect, it } from "tstyche"
import { ProcessError } from "../src/index.ts"

const failed = {} as Effect.Effect<number, ProcessError.ProcessError>

describe("ProcessError", () => {
  it("has a reason out of a closed list", () => {
    expect<ProcessError.Reason["_tag"]>().type.toBe<
      | "TimedOut"
      | "StartMethodUnavailable"
      | "StartFailed"
      | "WorkerExited"
      | "TaskNotFound"
      | "CodecFailed"
      | "NotShareable"
      | "Closed"
      | "RestartLimitExceeded"
      | "AuthenticationFailed"
      | "MessageTooLarge"
      | "SharedMemoryFailed"
    >()
    expect<ProcessError.ProcessError["reason"]>().type.toBe<ProcessError.Reason>()
  })

  it("has a message in the wrapper and in every reason", () => {
    expect<ProcessError.Reason["message"]>().type.toBe<string>()
    expect<ProcessError.ProcessError["message"]>().type.toBe<string>()
  })

  it("gives the fields of the reason that is caught", () => {
    Effect.catchReason(failed, "ProcessError", "WorkerExited", ({ pid, status, task }) => {
      expect(pid).type.toBe<number>()
      expect(status).type.toBe<ProcessError.ExitStatus>()
      expect(task).type.toBe<string | undefined>()
      return Effect.void
    })
    Effect.catchReason(failed, "ProcessError", "CodecFailed", ({ phase }) => {
      expect(phase).type.toBe<"payload" | "success" | "error" | "message">()
      return Effect.void
    })
    Effect.catchReason(failed, "ProcessError", "SharedMemoryFailed", ({ kind }) => {
      expect(kind).type.toBe<"NotFound" | "AlreadyExists" | "InvalidSize" | "OutOfBounds" | "SystemError">()
      return Effect.void
    })
    Effect.catchReason(failed, "ProcessError", "MessageTooLarge", ({ limit, size }) => {
      expect(limit).type.toBe<number>()
      expect(size).type.toBe<number>()
      return Effect.void
    })
  })

  it("is made of a reason only", () => {
    expect(ProcessError.ProcessError).type.toBeConstructableWith({
      reason: new ProcessError.Closed({ what: "Pool", message: "text" })
    })
    expect(ProcessError.ProcessError).type.not.toBeConstructableWith({ reason: new Error("text") })
    expect(ProcessError.WorkerExited).type.not.toBeConstructableWith({ pid: 1, message: "text" })
    expect(ProcessError.WorkerExited).type.toBeConstructableWith({
      pid: 1,
      status: { _tag: "Signaled", signal: "SIGKILL", number: 9 },
      message: "text"
    })
  })

  it("is found by its guard", () => {
    const value = {} as unknown
    if (ProcessError.isProcessError(value)) expect(value).type.toBe<ProcessError.ProcessError>()
  })

  it("is a schema of itself, and so are its reasons and the exit status", () => {
    expect(ProcessError.ProcessError).type.toBeAssignableTo<Schema.Codec<ProcessError.ProcessError, any>>()
    expect(ProcessError.Reason).type.toBeAssignableTo<Schema.Codec<ProcessError.Reason, any>>()
    expect(ProcessError.ExitStatus).type.toBeAssignableTo<Schema.Codec<ProcessError.ExitStatus>>()
  })
})
