/**
 * One duplex message channel between a parent and a child. A post carries a batch; whoever posts decides how much to
 * coalesce.
 */
export interface Channel<in Out, out In> {
  /** Raw SharedArrayBuffers may cross. */
  readonly sharesMemory: boolean
  /** ArrayBuffers may be transferred; where they may not, they are copied. */
  readonly transfers: boolean
  /**
   * Sends a batch, in order. Throws, and has sent nothing, where the batch cannot be cloned or is too large. After the
   * channel has closed it does nothing.
   */
  readonly post: (batch: ReadonlyArray<Out>, transfers?: ReadonlyArray<ArrayBuffer>) => void
  /** Called once; batches that came before are delivered then. `onClose` comes after the last batch, once. */
  readonly listen: (onBatch: (batch: ReadonlyArray<In>) => void, onClose: () => void) => void
  readonly close: () => void
}
