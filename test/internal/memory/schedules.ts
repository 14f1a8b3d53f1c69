/** Runs a program under every order of what it may choose: each run is told what to choose, from the first to the last. */
export type Choose = (options: number) => number

/** Gives how many runs there were. More than `most` are an error: then the program is too large to be tried whole. */
export const underEverySchedule = (most: number, run: (choose: Choose) => void): number => {
  let path: Array<{ chosen: number; readonly options: number }> = []
  for (let runs = 1; runs <= most; runs++) {
    let depth = 0
    const choose: Choose = (options) => {
      const known = path[depth++]
      if (known !== undefined) return known.chosen
      path.push({ chosen: 0, options })
      return 0
    }
    run(choose)
    path = path.slice(0, depth)
    while (path.length > 0 && path.at(-1)!.chosen + 1 === path.at(-1)!.options) path.pop()
    if (path.length === 0) return runs
    path.at(-1)!.chosen++
  }
  throw new Error(`there are more than ${most} schedules`)
}
