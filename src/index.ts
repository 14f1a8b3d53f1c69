/**
 * Python's multiprocessing, re-thought for Effect.
 *
 * @since 0.1.0
 */
export * as Connection from "./Connection.ts"
export * as Faults from "./Faults.ts"
export * as Initializer from "./Initializer.ts"
export * as Listener from "./Listener.ts"
export * as Manager from "./Manager.ts"
export * as Pipe from "./Pipe.ts"
export * as Pool from "./Pool.ts"
export * as Process from "./Process.ts"
export * as ProcessError from "./ProcessError.ts"
export * as ProgressBar from "./ProgressBar.ts"
export * as SharedArray from "./SharedArray.ts"
export * as SharedBarrier from "./SharedBarrier.ts"
export * as SharedCondition from "./SharedCondition.ts"
export * as SharedEvent from "./SharedEvent.ts"
export * as SharedLock from "./SharedLock.ts"
export * as SharedMemory from "./SharedMemory.ts"
export * as SharedQueue from "./SharedQueue.ts"
export * as SharedSemaphore from "./SharedSemaphore.ts"
export * as SharedValue from "./SharedValue.ts"
export * as StartMethod from "./StartMethod.ts"
export * as Task from "./Task.ts"
export * as WorkerPlatform from "./WorkerPlatform.ts"
