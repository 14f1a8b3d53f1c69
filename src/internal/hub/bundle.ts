/**
 * Items of a queue on their way, many as one message: what a message costs is its parts, so they are flat arrays, and short
 * bytes lie in one block.
 */

/** What nobody can change: it goes as it is. Everything else has become bytes. */
export type Plain = number | string | boolean | null | undefined

export const isPlain = (value: unknown): value is Plain => {
  if (value === null || value === undefined) return true
  const type = typeof value
  return type === "number" || type === "string" || type === "boolean"
}

export type Content = Uint8Array | Plain

/** Tags say what bytes are: one for each, or the one that all have. */
export type Tags = number | ReadonlyArray<number>

/** Items, as a process has them. */
export interface Parcels {
  readonly tags: Tags
  readonly contents: ReadonlyArray<Content>
}

export const tagsOf = (tags: ReadonlyArray<number>): Tags => {
  const first = tags[0] ?? 0
  return tags.every((tag) => tag === first) ? first : tags
}

export const tagAt = (tags: Tags, index: number): number => typeof tags === "number" ? tags : tags[index]!

/** As they travel. */
export type Bundle = readonly [
  tags: Tags,
  /** Of what lies in the block; undefined where nothing does. */
  lengths: ReadonlyArray<number> | undefined,
  /** What is plain, and long bytes. */
  others: ReadonlyArray<Content>,
  block: Uint8Array | undefined
]

/** So many are offered in one bundle at most. */
export const mostOffered = 4096

const isContent = (value: unknown): boolean => isPlain(value) || value instanceof Uint8Array

const isList = (value: unknown): value is ReadonlyArray<unknown> => Array.isArray(value) && value.length <= mostOffered // also where it claims more places than it has

/** What a process has said is one that may be offered. */
export const isBundle = (value: unknown): value is Bundle => {
  if (!Array.isArray(value)) return false
  const [tags, lengths, others, block] = value as ReadonlyArray<unknown>
  return (typeof tags === "number" || isList(tags)) && isList(others) && others.every(isContent) &&
    (lengths === undefined || (isList(lengths) && block instanceof Uint8Array))
}

/** In the place of a length: the content stands among the others. */
const among = -1

/** Of bytes that do not lie in the block. */
const leastOwn = 16 * 1024

const isShort = (content: Content): content is Uint8Array =>
  typeof content === "object" && content !== null && content.byteLength < leastOwn

/** About how much memory it takes. */
export const sizeOf = (content: Content): number => {
  if (typeof content === "string") return 2 * content.length
  return typeof content === "object" && content !== null ? content.byteLength : 8
}

export const bundle = ({ contents, tags }: Parcels): Bundle => {
  let size = 0
  let count = 0
  for (const content of contents) {
    if (!isShort(content)) continue
    size += content.byteLength
    count++
  }
  if (count === 0) return [tags, undefined, contents, undefined]
  const block = new Uint8Array(size)
  let at = 0
  const lengths = contents.map((content) => {
    if (!isShort(content)) return among
    block.set(content, at)
    at += content.byteLength
    return content.byteLength
  })
  return [tags, lengths, contents.filter((content) => !isShort(content)), block]
}

/** The short ones are views of the block. */
export const unbundle = ([tags, lengths, others, block]: Bundle): Parcels => {
  if (lengths === undefined || block === undefined) return { tags, contents: others }
  let at = 0
  let other = 0
  const contents = lengths.map((length) => length === among ? others[other++] : block.subarray(at, at += length))
  return { tags, contents }
}

/** An item of a queue, with the number by which a taker says what has become of it. */
export interface Item {
  readonly number: number
  readonly tag: number
  readonly content: Content
}

/** Mostly neighbours: then it is the number of the first. */
export type Numbers = number | ReadonlyArray<number>

export const numberAt = (numbers: Numbers, index: number): number =>
  typeof numbers === "number" ? numbers + index : numbers[index]!

/** What is handed out. */
export interface Handful extends Parcels {
  readonly numbers: Numbers
}

export type Handed = readonly [numbers: Numbers, items: Bundle]

const areNeighbours = (items: ReadonlyArray<Item>): boolean =>
  items.length > 0 && items[items.length - 1]!.number === items[0]!.number + items.length - 1

/** Their numbers ascend. */
export const handOut = (items: ReadonlyArray<Item>): Handed => [
  areNeighbours(items) ? items[0]!.number : items.map(({ number }) => number),
  bundle({ tags: tagsOf(items.map(({ tag }) => tag)), contents: items.map(({ content }) => content) })
]

export const takeIn = ([numbers, items]: Handed): Handful => {
  const { contents, tags } = unbundle(items)
  return { numbers, contents, tags }
}
