/*
 * Copies of the process, for the files that make some.
 */
#ifndef EFFECT_MULTIPROCESSING_FORK_H
#define EFFECT_MULTIPROCESSING_FORK_H

#include <sys/types.h>

/*
 * Stops all threads but the one that calls. It waits until they are idle, for two seconds at most. Gives what speaks against
 * a copy, or NULL.
 */
const char *stop_threads(void);

/* They go on. */
void release_threads(void);

/*
 * Forks this process, whose threads are stopped, with its event loop (a uv_loop_t). Gives 0 in the copy, which may go on
 * with JavaScript, and whose threads go on. -1 with errno. All signals are blocked meanwhile.
 */
pid_t fork_process(void *loop);

#endif
