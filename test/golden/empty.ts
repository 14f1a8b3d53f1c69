/** A module without a task. */
export {}
