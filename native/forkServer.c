/*
 * A process that forks copies of itself on request. From the moment when it serves, no JavaScript runs in it any more: its
 * heap stays as it is, and every copy begins with the same one.
 *
 *   control   a socket of packets; each is a Request, then bytes for the copy, and descriptors
 *   events    a stream of Records
 *
 *                  --> READY, when it serves
 *   FORK id        --> FORKED id pid, or FORKED id -errno;  later EXITED id pid status
 *   KILL id signal --> nothing where that copy has ended
 *   control ends   --> the copies have `grace` to leave by themselves, then they and this process end
 *
 * A copy dies with this process, at once: the kernel sees to that.
 */
#define _GNU_SOURCE
#include "addon.h"
#include "fork.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* The same numbers are in src/internal/fork/records.ts. */
enum { FORK = 1, KILL = 2 };
enum { FORKED = 1, EXITED = 2, READY = 3, HEARD = 6 };

typedef struct { uint32_t operation, id; int32_t signal; } Request;
typedef struct { uint32_t kind, id; int32_t pid, status; } Record;

typedef struct { uint32_t id; pid_t pid; int pidfd; } Copy;

static Copy *copies;
static struct pollfd *polled; /* the control socket, then a place for each copy */
static size_t count, room;

/* How often is looked after a copy that has no descriptor, because there were none left */
enum { LOOK_MILLIS = 20, FORK_SECONDS = 10 };

static bool make_room(void) {
  if (count < room) return true;
  size_t more = room == 0 ? 64 : room * 2;
  Copy *new_copies = realloc(copies, more * sizeof *copies);
  if (new_copies == NULL) return false;
  copies = new_copies;
  struct pollfd *new_polled = realloc(polled, (more + 1) * sizeof *polled);
  if (new_polled == NULL) return false;
  polled = new_polled;
  room = more;
  return true;
}

/* Whoever reads them is gone: then the control socket ends, too. */
static void tell(int events, Record record) {
  const char *bytes = (const char *)&record;
  size_t done = 0;
  while (done < sizeof record) {
    ssize_t written = write(events, bytes + done, sizeof record - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    done += (size_t)written;
  }
}

static int64_t now_millis(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reaps the copies that have ended. */
static void reap(int events) {
  for (size_t i = count; i-- > 0;) {
    Copy copy = copies[i];
    int status;
    if (copy.pidfd >= 0 && polled[i + 1].revents == 0) continue;
    if (waitpid(copy.pid, &status, WNOHANG) != copy.pid) continue;
    if (copy.pidfd >= 0) close(copy.pidfd);
    count--;
    copies[i] = copies[count];
    polled[i + 1] = polled[count + 1];
    tell(events, (Record){EXITED, copy.id, copy.pid, status});
  }
}

static void signal_copy(uint32_t id, int signal) {
  for (size_t i = 0; i < count; i++) {
    if (copies[i].id == id) kill(copies[i].pid, signal);
  }
}

static void signal_all(int signal) {
  for (size_t i = 0; i < count; i++) kill(copies[i].pid, signal);
}

/* In the copy: what belongs to the server is closed, and the kernel is told to end the two together. */
static void leave_server(pid_t server, int control, int events) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  /* one that has died before the request is not reported */
  if (getppid() != server) _exit(1);
  close(control);
  close(events);
  for (size_t i = 0; i < count; i++) {
    if (copies[i].pidfd >= 0) close(copies[i].pidfd);
  }
  free(copies);
  free(polled);
  copies = NULL;
  polled = NULL;
  count = room = 0;
}

/* What a library does before a fork (pthread_atfork) may wait for ever for a thread that is stopped: then this process ends. */
static void limit_fork(bool begins) {
  static int timer = -1;
  struct sigevent event;
  struct itimerspec limit;
  memset(&event, 0, sizeof event);
  memset(&limit, 0, sizeof limit);
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGKILL;
  if (timer < 0 && syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) != 0) return;
  limit.it_value.tv_sec = begins ? FORK_SECONDS : 0;
  syscall(SYS_timer_settime, timer, 0, &limit, NULL);
}

static pid_t fork_copy(void *loop, const Request *request, int control, int events) {
  pid_t server = getpid();
  limit_fork(true);
  pid_t pid = make_room() ? fork_process(loop) : -1;
  int error = errno;
  if (pid == 0) { /* it has not inherited the timer */
    leave_server(server, control, events);
    return 0;
  }
  limit_fork(false);
  tell(events, (Record){FORKED, request->id, pid < 0 ? -error : pid, 0});
  if (pid > 0) copies[count++] = (Copy){request->id, pid, (int)syscall(SYS_pidfd_open, pid, 0)};
  return pid;
}

/*
 * In the copy: the first two descriptors take the places of the server's, as a process that was spawned has them at 3 and 4;
 * a third and a fourth become stdout and stderr.
 */
static int take_places(int *fds, int fd_count, int control, int events) {
  const int places[] = {control, events, STDOUT_FILENO, STDERR_FILENO};
  for (int i = 0; i < fd_count && i < 4; i++) {
    dup3(fds[i], places[i], i < 2 ? O_CLOEXEC : 0);
    close(fds[i]);
    fds[i] = places[i];
  }
  return fd_count < 2 ? fd_count : 2;
}

/* What a copy is told: {bytes, fds} */
static napi_value order_of(napi_env env, const char *bytes, size_t length, const int *fds, int fd_count) {
  napi_value order, buffer, array;
  if (napi_create_object(env, &order) != napi_ok) return NULL;
  if (napi_create_buffer_copy(env, length, bytes, NULL, &buffer) != napi_ok) return NULL;
  if (napi_create_array_with_length(env, (size_t)fd_count, &array) != napi_ok) return NULL;
  for (int i = 0; i < fd_count; i++) {
    napi_value number;
    if (napi_create_int32(env, fds[i], &number) != napi_ok) return NULL;
    napi_set_element(env, array, (uint32_t)i, number);
  }
  napi_set_named_property(env, order, "bytes", buffer);
  napi_set_named_property(env, order, "fds", array);
  return order;
}

/* Waits for a request, a death or the deadline (-1: none). */
static void wait_for_work(int control, int64_t deadline) {
  int64_t millis = deadline < 0 ? -1 : deadline - now_millis();
  if (deadline >= 0 && millis < 0) millis = 0;
  polled[0] = (struct pollfd){.fd = deadline < 0 ? control : -1, .events = POLLIN};
  for (size_t i = 0; i < count; i++) {
    polled[i + 1] = (struct pollfd){.fd = copies[i].pidfd, .events = POLLIN};
    if (copies[i].pidfd < 0 && (millis < 0 || millis > LOOK_MILLIS)) millis = LOOK_MILLIS;
  }
  if (poll(polled, count + 1, (int)millis) < 0) {
    for (size_t i = 0; i <= count; i++) polled[i].revents = 0;
  }
}

/*
 * serveForks(control, events, graceMillis): {bytes, fds} in each copy; in this process it does not return.
 * Throws when this process cannot be copied.
 */
static napi_value serve_forks(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  double control_fd, events_fd, grace;
  void *loop;
  read_arguments(env, info, 3, arguments);
  if (!read_integer(env, arguments[0], "serveForks: control", 0, MAX_FD, &control_fd)) return NULL;
  if (!read_integer(env, arguments[1], "serveForks: events", 0, MAX_FD, &events_fd)) return NULL;
  if (!read_integer(env, arguments[2], "serveForks: graceMillis", 0, 86400000, &grace)) return NULL;
  if (napi_get_uv_event_loop(env, (void *)&loop) != napi_ok || !make_room()) return NULL;
  const char *trouble = stop_threads(); /* they stay so: nothing is left to do here for them */
  if (trouble != NULL) return throw_error(env, "ERR_FORK_UNSAFE", "fork", trouble);

  int control = (int)control_fd, events = (int)events_fd;
  int64_t deadline = -1;
  tell(events, (Record){READY, 0, 0, 0});
  static char bytes[MAX_PACKET_BYTES];
  for (;;) {
    if (deadline >= 0 && (count == 0 || now_millis() >= deadline)) {
      signal_all(SIGKILL);
      _exit(0);
    }
    wait_for_work(control, deadline);
    reap(events);
    if (polled[0].revents == 0) continue;
    int fds[MAX_PACKET_FDS], fd_count;
    ssize_t length = receive_packet(control, bytes, fds, &fd_count);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (length <= 0) {
      deadline = now_millis() + (int64_t)grace;
      continue;
    }
    if ((size_t)length < sizeof(Request)) continue;
    Request request;
    memcpy(&request, bytes, sizeof request);
    if (request.operation == KILL) {
      signal_copy(request.id, request.signal);
      tell(events, (Record){HEARD, request.id, 0, 0});
    }
    if (fd_count < 0) {
      tell(events, (Record){FORKED, request.id, -EMFILE, 0});
      continue;
    }
    if (request.operation == FORK && fork_copy(loop, &request, control, events) == 0) {
      fd_count = take_places(fds, fd_count, control, events);
      return order_of(env, bytes + sizeof request, (size_t)length - sizeof request, fds, fd_count);
    }
    for (int i = 0; i < fd_count; i++) close(fds[i]);
  }
}

void define_fork_server(napi_env env, napi_value exports) {
  define_function(env, exports, "serveForks", serve_forks);
}
