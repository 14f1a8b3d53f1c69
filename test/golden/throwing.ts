/** A module that cannot be loaded. */
throw new Error("the database of this module is away")
