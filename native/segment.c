/*
 * A segment is a file in memory that has no name (a memfd), of a size that nobody can change (it is sealed), mapped as a
 * SharedArrayBuffer. It goes when its last descriptor is closed and its last mapping is gone; a killed process leaves nothing.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the oldest headers that this compiles with. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* One TiB: well below the largest length that V8 accepts, beyond which it would end the process. */
static const double MAX_SIZE = 1099511627776.0;

/*
 * Node has this since 22.23.3, 24.16 and 26.1; no released headers declare it for a stable Node-API version. Weak, so that
 * the addon loads without it. The finalizer gets no env: it runs on whichever thread lets the memory go.
 */
extern napi_status NAPI_CDECL node_api_create_external_sharedarraybuffer(
    napi_env env, void *data, size_t size, void(NAPI_CDECL *finalize)(void *data, void *hint), void *hint,
    napi_value *result) __attribute__((weak));

/* Of the whole process: threads that load the addon share its memory. */
static int live_mappings;

/* Through syscall(): glibc has the function since 2.27 and the flag needs a kernel >= 6.3, which older ones refuse. */
static int create_memfd(void) {
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  int fd = (int)syscall(SYS_memfd_create, "effect-multiprocessing", flags | MFD_NOEXEC_SEAL);
  if (fd >= 0 || errno != EINVAL) return fd;
  return (int)syscall(SYS_memfd_create, "effect-multiprocessing", flags);
}

/* Through syscall(): glibc before 2.33 has no symbol of the name fstat. The kernel's struct is the one of the headers. */
static int file_status(int fd, struct stat *status) {
  return (int)syscall(SYS_fstat, fd, status);
}

/* createSegment(size): fd */
static napi_value create_segment(napi_env env, napi_callback_info info) {
  napi_value argument;
  double size;
  read_arguments(env, info, 1, &argument);
  if (!read_integer(env, argument, "createSegment: size", 1, MAX_SIZE, &size)) return NULL;

  int fd = create_memfd();
  if (fd < 0) return throw_errno(env, "createSegment", "memfd_create");
  const char *failed = NULL;
  if (ftruncate(fd, (off_t)size) != 0) {
    failed = "ftruncate";
  } else if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    failed = "fcntl";
  }
  napi_value result;
  if (failed == NULL && napi_create_int32(env, fd, &result) == napi_ok) {
    close_with_thread(env, fd);
    return result;
  }
  int error = errno;
  close(fd);
  errno = error;
  return failed == NULL ? NULL : throw_errno(env, "createSegment", failed);
}

/*
 * A page of a mapped file that is no longer there when it is touched ends the process with SIGBUS. So the file must be
 * large enough, and sealed against getting smaller; only a memfd can be.
 */
static bool check_segment(napi_env env, int fd, double size) {
  int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 && errno != EINVAL) {
    throw_errno(env, "mapSegment", "fcntl");
    return false;
  }
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    throw_error(env, "ERR_NOT_SEALED", "fcntl",
                "mapSegment: the file is not sealed against shrinking: only what createSegment made can be mapped");
    return false;
  }
  struct stat status;
  if (file_status(fd, &status) != 0) {
    throw_errno(env, "mapSegment", "fstat");
    return false;
  }
  if ((double)status.st_size < size) {
    char message[160];
    snprintf(message, sizeof message, "mapSegment: the segment has %.0f bytes, %.0f were asked for",
             (double)status.st_size, size);
    throw_error(env, "ERR_TOO_SMALL", "fstat", message);
    return false;
  }
  return true;
}

/* Called once, by V8, on any thread, when no SharedArrayBuffer in any thread refers to the mapping any more. */
static void NAPI_CDECL unmap(void *data, void *hint) {
  munmap(data, (size_t)hint);
  __atomic_sub_fetch(&live_mappings, 1, __ATOMIC_RELAXED);
}

/* Called on the thread that mapped, when its own SharedArrayBuffer has been collected. */
static void NAPI_CDECL unaccount(napi_env env, void *data, void *hint) {
  (void)data;
  int64_t total;
  napi_adjust_external_memory(env, -(int64_t)(size_t)hint, &total);
}

/*
 * V8 counts the bytes of a SharedArrayBuffer for no heap, as they belong to several: without this, ten thousand
 * mappings that nobody uses any more pile up before it collects, with it two hundred. The bytes count for the thread that
 * mapped, as long as its buffer object lives. unmap() cannot take them off: it may run on another thread, after this one has ended.
 */
static void account(napi_env env, napi_value buffer, size_t size) {
  int64_t total;
  if (napi_add_finalizer(env, buffer, NULL, unaccount, (void *)size, NULL) != napi_ok) return;
  napi_adjust_external_memory(env, (int64_t)size, &total);
}

/* mapSegment(fd, size): SharedArrayBuffer */
static napi_value map_segment(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  double fd, bytes;
  read_arguments(env, info, 2, arguments);
  if (!read_integer(env, arguments[0], "mapSegment: fd", 0, MAX_FD, &fd)) return NULL;
  if (!read_integer(env, arguments[1], "mapSegment: size", 1, MAX_SIZE, &bytes)) return NULL;
  if (node_api_create_external_sharedarraybuffer == NULL) {
    return throw_error(env, "ENOSYS", "node_api_create_external_sharedarraybuffer",
                       "mapSegment: this Node cannot map memory as a SharedArrayBuffer: it needs >= 22.23.3, 24.16 or 26.1");
  }
  if (!check_segment(env, (int)fd, bytes)) return NULL;

  size_t size = (size_t)bytes;
  void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
  if (data == MAP_FAILED) return throw_errno(env, "mapSegment", "mmap");
  napi_value result;
  __atomic_add_fetch(&live_mappings, 1, __ATOMIC_RELAXED);
  if (node_api_create_external_sharedarraybuffer(env, data, size, unmap, (void *)size, &result) != napi_ok) {
    unmap(data, (void *)size);
    return throw_error(env, "ERR_NO_EXTERNAL_BUFFERS", "node_api_create_external_sharedarraybuffer",
                       "mapSegment: this Node refuses SharedArrayBuffers over mapped memory");
  }
  account(env, result, size);
  return result;
}

/* liveMappings(): number */
static napi_value count_mappings(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result;
  int count = __atomic_load_n(&live_mappings, __ATOMIC_RELAXED);
  return napi_create_int32(env, count, &result) == napi_ok ? result : NULL;
}

void define_segment(napi_env env, napi_value exports) {
  define_function(env, exports, "createSegment", create_segment);
  define_function(env, exports, "mapSegment", map_segment);
  define_function(env, exports, "liveMappings", count_mappings);
  napi_value can_share;
  if (napi_get_boolean(env, node_api_create_external_sharedarraybuffer != NULL, &can_share) != napi_ok) return;
  napi_set_named_property(env, exports, "canShare", can_share);
}
