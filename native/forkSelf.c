/*
 * A copy of the calling process, which begins in the middle of it: in JavaScript, with all that the process has in its hands.
 * What it must not touch is taken away from it before it goes on.
 */
#define _GNU_SOURCE
#include "addon.h"
#include "fork.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_kept(int fd, const int *kept, int count) {
  for (int i = 0; i < count; i++) {
    if (kept[i] == fd) return true;
  }
  return fd <= STDERR_FILENO;
}

/* Whether somebody is at the other end */
static bool is_connection(int fd) {
  struct stat status;
  if (syscall(SYS_fstat, fd, &status) != 0) return false;
  return S_ISSOCK(status.st_mode) || S_ISFIFO(status.st_mode);
}

/*
 * What the original talks over is not the copy's: a byte that it wrote there would stand between those of the original. In
 * the place of each such descriptor comes one whose other end is closed.
 */
static void lose_connections(const int *kept, int count) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) _exit(71);
  close(pair[1]);
  DIR *entries = opendir("/proc/self/fd");
  if (entries == NULL) _exit(71);
  struct dirent *entry;
  while ((entry = readdir(entries)) != NULL) {
    int fd = (int)strtol(entry->d_name, NULL, 10);
    if (entry->d_name[0] == '.' || fd == pair[0] || is_kept(fd, kept, count)) continue;
    if (is_connection(fd)) dup3(pair[0], fd, O_CLOEXEC);
  }
  closedir(entries);
  close(pair[0]);
}

/* The event loop of a copy does not turn: a signal that it handles would do nothing. Ctrl-C is the original's affair. */
static void reset_signals(void) {
  static const int left[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGKILL, SIGSTOP};
  for (int signal = 1; signal < 32; signal++) {
    bool is_left = false;
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) is_left = is_left || left[i] == signal;
    struct sigaction action;
    if (is_left || sigaction(signal, NULL, &action) != 0) continue;
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) continue;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, NULL);
  }
  signal(SIGINT, SIG_IGN);
}

/* forkSelf(kept): the pid of the copy; in the copy 0, which has of all connections only those that are kept */
static napi_value fork_self(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  int kept[MAX_PACKET_FDS];
  void *loop;
  read_arguments(env, info, 1, &argument);
  int count = read_descriptors(env, argument, "forkSelf: kept", kept);
  if (count < 0 || napi_get_uv_event_loop(env, (void *)&loop) != napi_ok) return NULL;
  const char *trouble = stop_threads();
  if (trouble != NULL) return throw_error(env, "ERR_FORK_UNSAFE", "fork", trouble);
  pid_t original = getpid();
  pid_t pid = fork_process(loop);
  int error = errno;
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != original) _exit(1);
    lose_connections(kept, count);
    reset_signals();
  } else {
    release_threads();
  }
  errno = error;
  if (pid < 0) return throw_errno(env, "forkSelf", "fork");
  return napi_create_int32(env, pid, &result) == napi_ok ? result : NULL;
}

/* reap(pid): the status of a child that has ended, as waitpid gives it; undefined while it lives */
static napi_value reap_child(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  double pid;
  int status;
  read_arguments(env, info, 1, &argument);
  if (!read_integer(env, argument, "reap: pid", 1, MAX_FD, &pid)) return NULL;
  pid_t reaped;
  do reaped = waitpid((pid_t)pid, &status, WNOHANG);
  while (reaped < 0 && errno == EINTR);
  if (reaped < 0) return throw_errno(env, "reap", "waitpid");
  if (reaped == 0) return NULL;
  return napi_create_int32(env, status, &result) == napi_ok ? result : NULL;
}

void define_fork_self(napi_env env, napi_value exports) {
  define_function(env, exports, "forkSelf", fork_self);
  define_function(env, exports, "reap", reap_child);
}
