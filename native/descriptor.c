/* Descriptors that JavaScript holds as plain numbers, and their end. */
#include "addon.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
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

int read_descriptors(napi_env env, napi_value array, const char *name, int *fds) {
  uint32_t count;
  if (napi_get_array_length(env, array, &count) != napi_ok || count > MAX_PACKET_FDS) {
    char message[100];
    snprintf(message, sizeof message, "%s must be an array of at most %d descriptors", name, MAX_PACKET_FDS);
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
    return -1;
  }
  for (uint32_t i = 0; i < count; i++) {
    napi_value element;
    double fd;
    if (napi_get_element(env, array, i, &element) != napi_ok) return -1;
    if (!read_integer(env, element, name, 0, MAX_FD, &fd)) return -1;
    fds[i] = (int)fd;
  }
  return (int)count;
}

void define_descriptor(napi_env env, napi_value exports) {
  define_function(env, exports, "closeDescriptor", close_descriptor);
}
