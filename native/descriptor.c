/* Descriptors that JavaScript holds as plain numbers, and their end. */
#include "addon.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

/* A thread that is ended does not run its finalizers, and its process lives on: what it has not closed is closed here. */
static void close_at_end(void *fd) {
  close((int)(intptr_t)fd);
}

void close_with_thread(napi_env env, int fd) {
  napi_add_env_cleanup_hook(env, close_at_end, (void *)(intptr_t)fd);
}

/* closeDescriptor(fd): node:fs would warn in a worker thread, where it knows only descriptors that it has opened itself */
static napi_value close_descriptor(napi_env env, napi_callback_info info) {
  napi_value argument;
  double fd;
  read_arguments(env, info, 1, &argument);
  if (!read_integer(env, argument, "closeDescriptor: fd", 0, MAX_FD, &fd)) return NULL;
  napi_remove_env_cleanup_hook(env, close_at_end, (void *)(intptr_t)fd);
  if (close((int)fd) != 0 && errno != EINTR) return throw_errno(env, "closeDescriptor", "close");
  return NULL;
}

void define_descriptor(napi_env env, napi_value exports) {
  define_function(env, exports, "closeDescriptor", close_descriptor);
}
