/** A module without a task. */
export const nothing = undefined
