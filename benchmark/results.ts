/** What a run gives, as `--json` writes it and the charts read it. */

export interface ContenderResult {
  readonly group: string
  readonly name: string
  /** Ratios are taken against rivals; a reference is only there for scale. */
  readonly role: "ours" | "rival" | "tuned" | "reference"
  /** One of each round that did not fail, in the unit of the workload. */
  readonly figures: ReadonlyArray<number>
  /** Of the figures; not there when all rounds failed. */
  readonly median?: number
  readonly min?: number
  readonly max?: number
  /** What went wrong, in words. */
  readonly notes: ReadonlyArray<string>
}

export interface WorkloadResult {
  readonly name: string
  readonly title: string
  readonly about: ReadonlyArray<string>
  readonly unit: string
  readonly better: "more" | "less"
  readonly groups: ReadonlyArray<{ readonly name: string; readonly reference?: string }>
  readonly contenders: ReadonlyArray<ContenderResult>
  readonly load: { readonly before: string; readonly after: string }
}

/** Where the numbers come from: numbers without this are not worth keeping. */
export interface Circumstances {
  readonly date: string
  readonly machine: string
  readonly versions: string
  readonly rounds: number
}

export interface Results {
  readonly circumstances: Circumstances
  readonly workloads: ReadonlyArray<WorkloadResult>
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Three digits that count. */
export const digits = (value: number): string =>
  value >= 1_000 ? Math.round(value).toLocaleString("en-US") : value >= 100 ? value.toFixed(0) : value.toPrecision(3)
