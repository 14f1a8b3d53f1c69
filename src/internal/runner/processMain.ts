/**
 * What a spawned process boots. Descriptor 3 is read, 4 is written, 5 ends when the parent does.
 */
import { fromDescriptors } from "../channel/socket.ts"
import { makeProgress, progressBytes } from "../protocol/progress.ts"
import { runChild } from "./child.ts"
import { endWithParent } from "./orphan.ts"

// Ctrl-C reaches the whole group: the parent's scope decides what becomes of its children
process.on("SIGINT", () => {})

// what the start method has put there; the line is then the program's
const [maxMessageBytes, parentPid] = process.argv.splice(2)
const progress = makeProgress(new SharedArrayBuffer(progressBytes))
runChild({
  channel: fromDescriptors(3, 4, Number(maxMessageBytes), { waitsForFirst: true }),
  progress,
  isRead: false,
  memory: () => process.memoryUsage.rss(),
  stop: () => process.kill(process.pid, "SIGTERM"),
  onUserCode: (boot) => endWithParent(Number(parentPid), boot.word, 5, progress)
})
