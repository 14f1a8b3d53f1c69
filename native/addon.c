#include "addon.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The loader compares this with its own number: raise both when the functions change. */
enum { ADDON_VERSION = 4 };

/* Node calls this once for each thread that loads the addon. */
NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
  define_number(env, exports, "version", ADDON_VERSION);
  define_descriptor(env, exports);
  define_segment(env, exports);
  define_peer(env, exports);
  define_parent(env, exports);
  define_socket(env, exports);
  define_fork(env, exports);
  define_fork_server(env, exports);
  define_fork_self(env, exports);
  return exports;
}

void define_function(napi_env env, napi_value exports, const char *name, napi_callback function) {
  napi_value value;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value) != napi_ok) return;
  napi_set_named_property(env, exports, name, value);
}

void define_number(napi_env env, napi_value object, const char *name, double number) {
  napi_value value;
  if (napi_create_double(env, number, &value) != napi_ok) return;
  napi_set_named_property(env, object, name, value);
}

void read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *arguments) {
  size_t room = count;
  napi_get_cb_info(env, info, &room, arguments, NULL, NULL);
}

/* Throws a RangeError that names the value, written as JavaScript writes it. */
static bool refuse_number(napi_env env, napi_value value, const char *name, const char *kind, double min, double max) {
  char text[40] = "", message[200];
  napi_value string;
  if (napi_coerce_to_string(env, value, &string) == napi_ok) {
    napi_get_value_string_utf8(env, string, text, sizeof text, NULL);
  }
  snprintf(message, sizeof message, "%s must be a %s from %.0f to %.0f, it is %s", name, kind, min, max, text);
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
  return false;
}

static bool is_number(napi_env env, napi_value value, const char *name, double *result) {
  if (napi_get_value_double(env, value, result) == napi_ok) return true;
  char message[100];
  snprintf(message, sizeof message, "%s must be a number", name);
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return false;
}

/* The comparisons are written so that NaN does not pass. */
bool read_number(napi_env env, napi_value value, const char *name, double min, double max, double *result) {
  if (!is_number(env, value, name, result)) return false;
  return (*result >= min && *result <= max) || refuse_number(env, value, name, "number", min, max);
}

bool read_integer(napi_env env, napi_value value, const char *name, double min, double max, double *result) {
  if (!is_number(env, value, name, result)) return false;
  bool fits = *result >= min && *result <= max && *result == (double)(int64_t)*result;
  return fits || refuse_number(env, value, name, "whole number", min, max);
}

static const char *name_of(int error) {
  switch (error) {
#define NAME(code) case code: return #code
    NAME(EACCES);
    NAME(EAGAIN);
    NAME(EBADF);
    NAME(EBUSY);
    NAME(EFAULT);
    NAME(EFBIG);
    NAME(EINTR);
    NAME(EINVAL);
    NAME(EIO);
    NAME(EMFILE);
    NAME(ENFILE);
    NAME(ENODEV);
    NAME(ENOMEM);
    NAME(ENOPROTOOPT);
    NAME(ENOSPC);
    NAME(ENOSYS);
    NAME(ENOTCONN);
    NAME(ENOTSOCK);
    NAME(EOPNOTSUPP);
    NAME(EOVERFLOW);
    NAME(EPERM);
    NAME(EPIPE);
    NAME(ECONNRESET);
    NAME(ETOOMANYREFS);
    NAME(ETXTBSY);
#undef NAME
    default: return "EUNKNOWN";
  }
}

static void set_string(napi_env env, napi_value object, const char *name, const char *text) {
  napi_value value;
  if (napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) != napi_ok) return;
  napi_set_named_property(env, object, name, value);
}

napi_value throw_error(napi_env env, const char *code, const char *syscall, const char *message) {
  napi_value text, error;
  if (napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text) != napi_ok) return NULL;
  if (napi_create_error(env, NULL, text, &error) != napi_ok) return NULL;
  set_string(env, error, "code", code);
  set_string(env, error, "syscall", syscall);
  napi_throw(env, error);
  return NULL;
}

napi_value throw_errno(napi_env env, const char *function, const char *syscall) {
  int error = errno;
  char message[200];
  snprintf(message, sizeof message, "%s: %s failed: %s (%s)", function, syscall, strerror(error), name_of(error));
  return throw_error(env, name_of(error), syscall, message);
}
