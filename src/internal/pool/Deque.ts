/**
 * A first-in first-out queue that also takes back at its front. Shifting an array moves all of it; this moves an index.
 */
export interface Deque<A> {
  items: Array<A | undefined>
  head: number
}

export const makeDeque = <A>(): Deque<A> => ({ items: [], head: 0 })

export const size = <A>(self: Deque<A>): number => self.items.length - self.head

export const isEmpty = <A>(self: Deque<A>): boolean => self.head === self.items.length

export const push = <A>(self: Deque<A>, value: A): void => {
  self.items.push(value)
}

export const pushFront = <A>(self: Deque<A>, value: A): void => {
  if (self.head === 0) self.items.unshift(value)
  else self.items[--self.head] = value
}

export const peek = <A>(self: Deque<A>): A | undefined => self.items[self.head]

export const shift = <A>(self: Deque<A>): A | undefined => {
  if (self.head === self.items.length) return undefined
  const value = self.items[self.head]
  self.items[self.head++] = undefined // an idle queue keeps no payload alive
  if (self.head === self.items.length) {
    self.items.length = 0
    self.head = 0
  } else if (self.head > 1024 && self.head * 2 > self.items.length) {
    self.items = self.items.slice(self.head)
    self.head = 0
  }
  return value
}

export const clear = <A>(self: Deque<A>): void => {
  self.items = []
  self.head = 0
}
