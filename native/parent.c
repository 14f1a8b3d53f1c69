/*
 * A process that must not outlive its parent, and has some time to leave by itself.
 *
 *   parent dies --> kernel sends PARENT_DIED --> on_parent_died starts the timer --grace--> kernel sends SIGKILL
 *                                                 meanwhile JavaScript sees the closed channel, cleans up and exits
 *
 * Nothing of it needs JavaScript: a process that computes without end is killed too. Why a timer and not alarm(): SIGALRM
 * may be handled, ignored or blocked by others, and a pending alarm outlives exec. This timer sends SIGKILL, which none
 * can hold up, belongs to this process, is not inherited by fork and ends with exec.
 *
 * What others inherit: the handler and the request are per process and thread. A child made by fork has the handler but
 * neither the request nor the timer, and nobody sends it this signal. A program made by fork and exec has nothing of all
 * this. Only a process that replaces itself (exec without fork) keeps the request, without the handler: it dies at once
 * with its parent.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Node and libuv use no real-time signal, the C libraries the first three (32 to 34), some tools the last ones (to 64). */
enum { PARENT_DIED = 50 };

static const double MAX_GRACE = 86400;

/* Of the process that called dieWithParent; written only while no request is in force, read by the handler. */
static volatile pid_t expected_parent;
static volatile pid_t timer_owner;
static volatile int timer_id;
static struct itimerspec grace;

/*
 * The request is about the *thread* that made this process: the signal also comes when that thread ends and its process
 * lives on, and once more when the process dies. Only async-signal-safe calls here: it interrupts anything.
 */
static void on_parent_died(int signal) {
  (void)signal;
  int error = errno;
  if (getppid() != expected_parent && timer_owner == getpid()) {
    syscall(SYS_timer_settime, timer_id, 0, &grace, NULL);
  }
  errno = error;
}

/* Through syscall(): in glibc before 2.34 these functions are in another library. The kernel's id is an int. */
static bool make_timer(void) {
  if (timer_owner == getpid()) return true;
  struct sigevent event;
  int id;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGKILL;
  if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) != 0) return false;
  timer_id = id;
  timer_owner = getpid();
  return true;
}

/* Another's handler is not replaced: errno is then EBUSY. */
static bool install_handler(void) {
  struct sigaction old, action;
  if (sigaction(PARENT_DIED, NULL, &old) != 0) return false;
  if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN && old.sa_handler != on_parent_died) {
    errno = EBUSY;
    return false;
  }
  memset(&action, 0, sizeof action);
  action.sa_handler = on_parent_died;
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  if (sigaction(PARENT_DIED, &action, NULL) != 0) return false;
  /* a blocked signal is inherited through exec */
  sigset_t unblocked;
  sigemptyset(&unblocked);
  sigaddset(&unblocked, PARENT_DIED);
  return sigprocmask(SIG_UNBLOCK, &unblocked, NULL) == 0;
}

static void set_grace(double seconds) {
  grace.it_value.tv_sec = (time_t)seconds;
  grace.it_value.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9);
  /* zero would stop the timer */
  if (grace.it_value.tv_sec == 0 && grace.it_value.tv_nsec == 0) grace.it_value.tv_nsec = 1;
}

/* dieWithParent(parentPid, graceSeconds): boolean, false when the parent has died already */
static napi_value die_with_parent(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  double parent, seconds;
  read_arguments(env, info, 2, arguments);
  if (!read_integer(env, arguments[0], "dieWithParent: parentPid", 0, MAX_FD, &parent)) return NULL;
  if (!read_number(env, arguments[1], "dieWithParent: graceSeconds", 0, MAX_GRACE, &seconds)) return NULL;
  if (syscall(SYS_gettid) != getpid()) {
    return throw_error(env, "ERR_NOT_MAIN_THREAD", "prctl",
                       "dieWithParent: call it on the main thread: the request ends with the thread that made it");
  }
  prctl(PR_SET_PDEATHSIG, 0);
  expected_parent = (pid_t)parent;
  set_grace(seconds);
  if (!make_timer()) return throw_errno(env, "dieWithParent", "timer_create");
  if (!install_handler()) return throw_errno(env, "dieWithParent", "sigaction");
  if (prctl(PR_SET_PDEATHSIG, PARENT_DIED) != 0) return throw_errno(env, "dieWithParent", "prctl");
  /* a parent that died before the request will not be reported: so look after it */
  bool alive = getppid() == expected_parent;
  if (!alive) prctl(PR_SET_PDEATHSIG, 0);
  napi_value result;
  return napi_get_boolean(env, alive, &result) == napi_ok ? result : NULL;
}

void define_parent(napi_env env, napi_value exports) {
  define_function(env, exports, "dieWithParent", die_with_parent);
}
