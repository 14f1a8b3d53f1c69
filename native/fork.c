/*
 * fork(2) of a process that runs Node, so that the copy can go on.
 *
 * fork copies one thread only. Node needs its others: V8 hands them work and waits for it, and a condition variable that
 * remembers waiters who are gone makes whoever signals it wait for ever. So the copy gets all of them back, where they were:
 *
 *   the original                                         the copy
 *   1  each other thread gets a signal; its handler
 *      keeps its registers and waits
 *   2  every mapping is marked as to be copied           (V8 marks its own so that fork leaves them out)
 *   3  fork                                              the memory is the same, with the stacks of all threads
 *   4  the handlers return                               5  a thread is made for each: on its old stack, with its old
 *                                                           thread-local memory, in the middle of its handler
 *                                                        6  the handlers return, to where the threads were
 *
 * A thread that was in the middle of something goes on with it, in both. libuv makes its pool of threads anew in a copy
 * (pthread_atfork): those are left out. What belongs to a loop in the kernel is made anew too: that of the thread that forks
 * by uv_loop_fork, that of the platform's scheduler here, in place, under the same numbers.
 *
 * What is known of glibc: the field that holds a thread's number is found by looking for the numbers; a thread whose field
 * is set is in use for glibc, and its stack is not given to others. `__nptl_nthreads` counts threads. What would go wrong if
 * that were no longer so: docs/decisions/013-fork-server.md.
 */
#define _GNU_SOURCE
#include "fork.h"
#include "addon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Weak: an executable that lacks them cannot fork, but all else works. */
extern int uv_loop_fork(void *loop) __attribute__((weak));
extern const char *gnu_get_libc_version(void) __attribute__((weak));
extern unsigned __nptl_nthreads __attribute__((weak));

#if defined(__x86_64__)

/* Node and libuv use no real-time signal; 50 is that of parent.c. */
enum { STOP = 51 };
enum { MAX_THREADS = 64, PATIENCE_MILLIS = 2000, NAME_BYTES = 32, MAX_VALUES = 32, FOREIGN_LOOKS = 100 };

/* ------------------------------------------------------------------- registers */

/* What a function must leave as it found it, where it returns to, and the stack after that */
typedef struct { uintptr_t rbx, rbp, r12, r13, r14, r15, rsp, rip; } Context;

/* Gives 0; and 1, again, in a thread that is started with it. */
int keep_context(Context *context) __attribute__((visibility("hidden"), returns_twice));

/* Makes a thread that goes on where the context was kept. Gives its number, or -errno. */
long start_context(Context *context, unsigned long flags, uintptr_t tls, void *tid)
    __attribute__((visibility("hidden")));

__asm__(
    ".text\n"
    ".globl keep_context\n"
    ".hidden keep_context\n"
    ".type keep_context, @function\n"
    "keep_context:\n"
    "  mov %rbx, 0(%rdi)\n"
    "  mov %rbp, 8(%rdi)\n"
    "  mov %r12, 16(%rdi)\n"
    "  mov %r13, 24(%rdi)\n"
    "  mov %r14, 32(%rdi)\n"
    "  mov %r15, 40(%rdi)\n"
    "  lea 8(%rsp), %rdx\n"
    "  mov %rdx, 48(%rdi)\n"
    "  mov (%rsp), %rdx\n"
    "  mov %rdx, 56(%rdi)\n"
    "  xor %eax, %eax\n"
    "  ret\n"
    ".globl start_context\n"
    ".hidden start_context\n"
    ".type start_context, @function\n"
    "start_context:\n"
    "  mov %rdi, %r9\n" /* the kernel changes rax, rcx and r11 only */
    "  mov %rsi, %rdi\n"
    "  mov 48(%r9), %rsi\n"
    "  mov %rdx, %r8\n"
    "  mov %rcx, %rdx\n"
    "  mov %rcx, %r10\n"
    "  mov $56, %eax\n" /* clone(flags, stack, parent_tid, child_tid, tls) */
    "  syscall\n"
    "  test %rax, %rax\n"
    "  jz 1f\n"
    "  ret\n"
    "1:\n"
    "  mov 0(%r9), %rbx\n"
    "  mov 8(%r9), %rbp\n"
    "  mov 16(%r9), %r12\n"
    "  mov 24(%r9), %r13\n"
    "  mov 32(%r9), %r14\n"
    "  mov 40(%r9), %r15\n"
    "  mov $1, %eax\n"
    "  jmp *56(%r9)\n"
    ".size start_context, . - start_context\n"
    ".section .note.GNU-stack, \"\", @progbits\n"
    ".text\n");

static uintptr_t thread_pointer(void) {
  uintptr_t pointer;
  __asm__("mov %%fs:0, %0" : "=r"(pointer));
  return pointer;
}

/* --------------------------------------------------------------- what threads do */

typedef struct {
  pid_t tid;
  int epoll; /* the descriptor it waits at, or -1 */
  char name[NAME_BYTES];
  uintptr_t tls;
  Context context;
  int value_count;
  struct { pthread_key_t key; void *value; } values[MAX_VALUES];
} Thread;

/*
 * glibc forgets in a copy what other threads keep under keys, and takes their arenas of malloc from them: a thread that
 * ends would give back what it has not, and glibc aborts. So it ends before glibc looks, where its values are destroyed.
 */
static pthread_key_t end_key;
static int has_end_key;

static void end_thread(void *value) {
  (void)value;
  syscall(SYS_exit, 0); /* the kernel clears its number: whoever joins it is woken */
}

static void keep_values(Thread *thread) {
  for (pthread_key_t key = 0; key < PTHREAD_KEYS_MAX && thread->value_count < MAX_VALUES; key++) {
    void *value = pthread_getspecific(key);
    if (value == NULL || key == end_key) continue;
    thread->values[thread->value_count].key = key;
    thread->values[thread->value_count++].value = value;
  }
}

static void restore_values(const Thread *thread) {
  for (int i = 0; i < thread->value_count; i++) pthread_setspecific(thread->values[i].key, thread->values[i].value);
  pthread_setspecific(end_key, (void *)1);
}

static Thread threads[MAX_THREADS];
static int thread_count;
static int round_number; /* those who wait for its end wait at this word */
static int arrivals;

static bool read_file(const char *path, char *text, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t length = read(fd, text, size - 1);
  close(fd);
  if (length <= 0) return false;
  text[length] = 0;
  return true;
}

static bool read_task(pid_t tid, const char *what, char *text, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/%s", tid, what);
  return read_file(path, text, size);
}

static bool read_name(pid_t tid, char *name) {
  if (!read_task(tid, "comm", name, NAME_BYTES)) return false;
  name[strcspn(name, "\n")] = 0;
  return true;
}

/* The number of the system call that it is in, -1 while it runs, -2 where that cannot be known */
static long call_of(pid_t tid, unsigned long *arguments) {
  char text[256], *end;
  if (!read_task(tid, "syscall", text, sizeof text)) return -2;
  if (strncmp(text, "running", 7) == 0) return -1;
  long call = strtol(text, &end, 10);
  arguments[0] = strtoul(end, &end, 16);
  arguments[1] = strtoul(end, NULL, 16);
  return call;
}

static bool blocks_stop(pid_t tid) {
  char text[4096];
  if (!read_task(tid, "status", text, sizeof text)) return false;
  const char *line = strstr(text, "\nSigBlk:");
  return line != NULL && (strtoull(line + 8, NULL, 16) >> (STOP - 1) & 1) != 0;
}

/* The platform's, and those of libraries that have the name of the process; one of the program's has a loop, or waits. */
static bool is_known(const char *name, const char *process_name) {
  return strstr(name, "V8Worker") != NULL || strstr(name, "DelayedTask") != NULL || strcmp(name, process_name) == 0;
}

static bool starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

typedef enum { IDLE, BUSY, FOREIGN, UNKNOWN } Verdict;

/* Whether it can be copied now. It is added to those that are, unless a copy does without it. */
static Verdict judge(pid_t tid, const char *process_name, char *name) {
  unsigned long arguments[2] = {0, 0};
  if (!read_name(tid, name)) return IDLE; /* it has just ended */
  long call = call_of(tid, arguments);
  if (call == -2) return UNKNOWN;
  if (call == -1) return BUSY;
  /* glibc waits so (FUTEX_WAIT_BITSET) at conditions and semaphores; one that waits otherwise is about to take a lock */
  bool waits = call == SYS_futex && (arguments[1] & 127) == 9;
  if (call == SYS_futex && !waits) return BUSY;
  bool polls = call == SYS_epoll_wait || call == SYS_epoll_pwait;
  if (starts_with(name, "libuv-worker")) return waits ? IDLE : BUSY;
  /* the one that waits for SIGUSR1, at a semaphore, which remembers no waiters */
  if (blocks_stop(tid)) return waits ? IDLE : FOREIGN;
  if ((!waits && !polls) || !is_known(name, process_name)) return FOREIGN;
  for (int i = 0; i < thread_count && polls; i++) {
    if (threads[i].epoll >= 0) return FOREIGN; /* a second loop is one of a thread of the program's */
  }
  if (thread_count == MAX_THREADS) return FOREIGN;
  Thread *thread = &threads[thread_count++];
  memset(thread, 0, sizeof *thread);
  thread->tid = tid;
  thread->epoll = polls ? (int)arguments[0] : -1;
  memcpy(thread->name, name, NAME_BYTES);
  return IDLE;
}

/* All threads but this one. The name of one that is not idle is left in `name`. */
static Verdict judge_all(char *name) {
  pid_t self = (pid_t)syscall(SYS_gettid);
  char process_name[NAME_BYTES] = "";
  read_name(self, process_name);
  thread_count = 0;
  DIR *tasks = opendir("/proc/self/task");
  if (tasks == NULL) return UNKNOWN;
  Verdict verdict = IDLE;
  struct dirent *entry;
  while (verdict == IDLE && (entry = readdir(tasks)) != NULL) {
    pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
    if (tid > 0 && tid != self) verdict = judge(tid, process_name, name);
  }
  closedir(tasks);
  return verdict;
}

static void describe_foreign(char *text, size_t size, const char *name) {
  snprintf(text, size, "the process has a thread of its own that a copy would lack, \"%s\"%s", name,
           strcmp(name, "InspectorIo") == 0 ? " (the debugger: start it without --inspect)" : "");
}

/* Empty where there is none. */
static void find_foreign(char *text, size_t size) {
  char name[NAME_BYTES] = "";
  int foreign = 0;
  text[0] = 0;
  for (int i = 0; i < PATIENCE_MILLIS / 10; i++) {
    Verdict verdict = judge_all(name);
    if (verdict == IDLE || verdict == UNKNOWN) return;
    foreign = verdict == FOREIGN ? foreign + 1 : 0;
    if (foreign == FOREIGN_LOOKS) return describe_foreign(text, size, name);
    usleep(1000);
  }
}

static const char *find_threads(void) {
  static char trouble[160];
  char name[NAME_BYTES] = "";
  int foreign = 0;
  for (int i = 0; i < PATIENCE_MILLIS; i++) {
    switch (judge_all(name)) {
      case IDLE: return NULL;
      case UNKNOWN: return "the system does not tell what threads do (/proc/self/task/*/syscall)";
      case FOREIGN:
        /* V8's map memory now and then, and sleep for moments */
        if (++foreign < FOREIGN_LOOKS) {
          usleep(1000);
          break;
        }
        describe_foreign(trouble, sizeof trouble, name);
        return trouble;
      case BUSY:
        foreign = 0;
        usleep(1000);
    }
  }
  snprintf(trouble, sizeof trouble, "the thread \"%s\" of the process has been busy for %d ms%s", name, PATIENCE_MILLIS,
           strncmp(name, "v8:Prof", 7) == 0 ? " (the profiler: start it without --cpu-prof)" : "");
  return trouble;
}

/* --------------------------------------------------------------------- stopping */

static void futex_wait(int *word, int value) {
  syscall(SYS_futex, word, 128 | 0 /* private, wait */, value, NULL, NULL, 0);
}

static void futex_wake(int *word) {
  syscall(SYS_futex, word, 128 | 1 /* private, wake */, MAX_THREADS, NULL, NULL, 0);
}

static __attribute__((noinline)) void stop_here(Thread *thread) {
  int round = __atomic_load_n(&round_number, __ATOMIC_SEQ_CST);
  thread->tls = thread_pointer();
  keep_values(thread);
  if (keep_context(&thread->context) != 0) {
    restore_values(thread);
    return;
  }
  __atomic_add_fetch(&arrivals, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&round_number, __ATOMIC_SEQ_CST) == round) futex_wait(&round_number, round);
}

/* Where a thread waits while its process is copied, and where its copy begins. It may have been anywhere: no locks here. */
static void on_stop(int signal) {
  (void)signal;
  int error = errno;
  pid_t tid = (pid_t)syscall(SYS_gettid);
  for (int i = 0; i < thread_count; i++) {
    if (threads[i].tid != tid) continue;
    stop_here(&threads[i]);
    break;
  }
  errno = error;
}

static bool install_handler(void) {
  struct sigaction old, action;
  if (sigaction(STOP, NULL, &old) != 0) return false;
  if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN && old.sa_handler != on_stop) return false;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_stop;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  return sigaction(STOP, &action, NULL) == 0;
}

void release_threads(void) {
  __atomic_add_fetch(&round_number, 1, __ATOMIC_SEQ_CST);
  futex_wake(&round_number);
  thread_count = 0;
}

/* Where in a thread's control block glibc keeps its number, or 0 */
static uintptr_t tid_offset(void) {
  uintptr_t self = thread_pointer();
  int tid = (int)syscall(SYS_gettid);
  for (uintptr_t offset = 64; offset < 2048; offset += sizeof(int)) {
    bool fits = *(int *)(self + offset) == tid;
    for (int i = 0; i < thread_count && fits; i++) fits = *(int *)(threads[i].tls + offset) == threads[i].tid;
    if (fits) return offset;
  }
  return 0;
}

static uintptr_t number_at;

const char *stop_threads(void) {
  const char *trouble = find_threads();
  if (trouble != NULL) return trouble;
  if (!install_handler()) return "another handler has the signal that it needs (51)";
  if (!has_end_key && pthread_key_create(&end_key, end_thread) != 0) return "it has no key left for its threads";
  has_end_key = 1;
  __atomic_store_n(&arrivals, 0, __ATOMIC_SEQ_CST);
  for (int i = 0; i < thread_count; i++) syscall(SYS_tgkill, getpid(), threads[i].tid, STOP);
  for (int i = 0; i < PATIENCE_MILLIS * 10; i++) {
    if (__atomic_load_n(&arrivals, __ATOMIC_SEQ_CST) == thread_count) {
      number_at = tid_offset();
      if (number_at != 0) return NULL;
      trouble = "this glibc keeps the numbers of its threads elsewhere";
      break;
    }
    usleep(100);
  }
  release_threads();
  return trouble != NULL ? trouble : "its threads could not be stopped";
}

/* --------------------------------------------------------------------- mappings */

enum { MAX_RINGS = 64 };
static struct { uintptr_t from, to; } rings[MAX_RINGS];
static int ring_count;

/* A line of /proc/self/maps. Those that cannot be copied (of devices) refuse, and are none of V8's. */
static void mark_mapping(char *line) {
  char *end;
  uintptr_t from = strtoul(line, &end, 16);
  uintptr_t to = strtoul(end + 1, &end, 16);
  if (strstr(end, "[io_uring]") != NULL && ring_count < MAX_RINGS) {
    rings[ring_count].from = from;
    rings[ring_count++].to = to;
  }
  madvise((void *)from, to - from, MADV_DOFORK);
}

static void mark_mappings(int maps) {
  static char text[65536];
  size_t kept = 0;
  ssize_t length;
  ring_count = 0;
  while ((length = read(maps, text + kept, sizeof text - 1 - kept)) > 0) {
    kept += (size_t)length;
    text[kept] = 0;
    char *line = text, *end;
    while ((end = strchr(line, '\n')) != NULL) {
      *end = 0;
      mark_mapping(line);
      line = end + 1;
    }
    kept -= (size_t)(line - text);
    memmove(text, line, kept);
  }
}

/*
 * The rings of the loops are the original's. libuv looks at the words of one before each wait: in the copy they are zeros,
 * which say that there is nothing to do.
 */
static void replace_rings(void) {
  for (int i = 0; i < ring_count; i++) {
    mmap((void *)rings[i].from, rings[i].to - rings[i].from, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  }
}

/* ----------------------------------------------------------- the scheduler's loop */

static bool is_eventfd(int fd) {
  char path[64], target[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(path, target, sizeof target - 1);
  if (length <= 0) return false;
  target[length] = 0;
  return strcmp(target, "anon_inode:[eventfd]") == 0;
}

/* As after a fork that failed: there is not enough of something. */
enum { EXIT_LACKS = 71 };

static void replace(int fresh, int fd) {
  if (fresh < 0 || dup3(fresh, fd, O_CLOEXEC) < 0) _exit(EXIT_LACKS);
  close(fresh);
}

/* The same descriptors are watched by a new epoll, under its old number; those that wake it are new, too. */
static void replace_epoll(int epoll) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll);
  int fresh = epoll_create1(EPOLL_CLOEXEC);
  if (fresh < 0 || !read_file(path, text, sizeof text)) _exit(EXIT_LACKS);
  for (char *line = strstr(text, "tfd:"); line != NULL; line = strstr(line, "tfd:")) {
    int fd = (int)strtol(line + 4, &line, 10);
    struct epoll_event event;
    char *events = strstr(line, "events:"), *data = strstr(line, "data:");
    if (events == NULL || data == NULL) break;
    event.events = (uint32_t)strtoul(events + 7, NULL, 16);
    event.data.u64 = strtoull(data + 5, NULL, 16);
    if (is_eventfd(fd)) replace(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), fd);
    epoll_ctl(fresh, EPOLL_CTL_ADD, fd, &event);
  }
  replace(fresh, epoll);
}

/* --------------------------------------------------------------------- forking */

static const unsigned long THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                                          CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;

/* In the copy, before anything else makes a thread */
static void restore_threads(void) {
  for (int i = 0; i < thread_count; i++) {
    Thread *thread = &threads[i];
    if (thread->epoll >= 0) replace_epoll(thread->epoll);
    long tid = start_context(&thread->context, THREAD_FLAGS, thread->tls, (void *)(thread->tls + number_at));
    if (tid < 0) _exit(EXIT_LACKS);
    thread->tid = (pid_t)tid;
    __atomic_add_fetch(&__nptl_nthreads, 1, __ATOMIC_SEQ_CST);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld/comm", tid);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) continue;
    if (write(fd, thread->name, strlen(thread->name)) < 0) thread->name[0] = 0; /* it has another name, then */
    close(fd);
  }
  thread_count = 0;
}

pid_t fork_process(void *loop) {
  sigset_t all, before;
  int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (maps < 0) return -1;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  mark_mappings(maps);
  pid_t pid = fork();
  int error = errno;
  if (pid == 0) {
    replace_rings();
    restore_threads();
    if (uv_loop_fork(loop) != 0) _exit(EXIT_LACKS);
  }
  sigprocmask(SIG_SETMASK, &before, NULL);
  close(maps);
  errno = error;
  return pid;
}

/* Why this executable cannot fork; NULL when it can. */
static const char *why_never(void) {
  if (gnu_get_libc_version == NULL) return "it is for glibc";
  if (&__nptl_nthreads == NULL) return "it is for glibc 2.34 or later";
  if (uv_loop_fork == NULL) return "this executable does not export uv_loop_fork";
  return NULL;
}

#else

static const char *why_never(void) { return "it is for x64 processors"; }
const char *stop_threads(void) { return why_never(); }
static void find_foreign(char *text, size_t size) {
  (void)size;
  text[0] = 0;
}
void release_threads(void) {}
pid_t fork_process(void *loop) {
  (void)loop;
  errno = ENOSYS;
  return -1;
}

#endif

/* -------------------------------------------------------------------- functions */

/* whyNoFork(): string, empty when processes that run this executable can be copied */
static napi_value why_no_fork(napi_env env, napi_callback_info info) {
  (void)info;
  const char *why = why_never();
  napi_value result;
  return napi_create_string_utf8(env, why == NULL ? "" : why, NAPI_AUTO_LENGTH, &result) == napi_ok ? result : NULL;
}

/* foreignThread(): string, empty when there is no thread that a copy would lack */
static napi_value foreign_thread(napi_env env, napi_callback_info info) {
  (void)info;
  char text[160];
  find_foreign(text, sizeof text);
  napi_value result;
  return napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &result) == napi_ok ? result : NULL;
}

/* exitNow(code): ends the process; nothing is flushed, joined or told */
static napi_value exit_now(napi_env env, napi_callback_info info) {
  napi_value argument;
  double code;
  read_arguments(env, info, 1, &argument);
  if (!read_integer(env, argument, "exitNow: code", 0, 255, &code)) return NULL;
  _exit((int)code);
}

void define_fork(napi_env env, napi_value exports) {
  define_function(env, exports, "whyNoFork", why_no_fork);
  define_function(env, exports, "foreignThread", foreign_thread);
  define_function(env, exports, "exitNow", exit_now);
}
