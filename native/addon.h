/*
 * What the files of the addon share. Each concern is one file that has one `define` function, which adds its functions to
 * the exports; `addon.c` calls them all and holds the helpers below.
 */
#ifndef EFFECT_MULTIPROCESSING_ADDON_H
#define EFFECT_MULTIPROCESSING_ADDON_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* descriptor.c: descriptors that JavaScript holds as numbers */
void define_descriptor(napi_env env, napi_value exports);
/* segment.c: memory that several processes share */
void define_segment(napi_env env, napi_value exports);
/* peer.c: who is at the other end of a unix socket */
void define_peer(napi_env env, napi_value exports);
/* parent.c: leaving when the parent process has died */
void define_parent(napi_env env, napi_value exports);
/* socket.c: pairs of sockets, packets with descriptors */
void define_socket(napi_env env, napi_value exports);
/* fork.c: copies of a process that runs Node */
void define_fork(napi_env env, napi_value exports);
/* forkSelf.c: a copy of the calling process */
void define_fork_self(napi_env env, napi_value exports);
/* forkServer.c: a process that makes copies of itself on request */
void define_fork_server(napi_env env, napi_value exports);

/* Closes it when the thread ends that holds it, unless closeDescriptor has. */
void close_with_thread(napi_env env, int fd);

enum { MAX_PACKET_BYTES = 16384, MAX_PACKET_FDS = 8 };

/* Reads an array of at most MAX_PACKET_FDS descriptors into `fds`: their count, or -1 after it has thrown. */
int read_descriptors(napi_env env, napi_value array, const char *name, int *fds);

/* Takes a packet without waiting: its length, 0 at the end, -1 with errno. The descriptors are closed by exec. */
ssize_t receive_packet(int socket, char *bytes, int *fds, int *fd_count);

void define_function(napi_env env, napi_value exports, const char *name, napi_callback function);
void define_number(napi_env env, napi_value object, const char *name, double value);

/* Reads the arguments of a call; those that were not given are undefined. */
void read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *arguments);

/*
 * Reads a number from `min` to `max`, or a whole one. What is anything else throws a TypeError or a RangeError that
 * begins with `name`, such as "mapSegment: size"; the result is then false.
 */
bool read_number(napi_env env, napi_value value, const char *name, double min, double max, double *result);
bool read_integer(napi_env env, napi_value value, const char *name, double min, double max, double *result);

/* Descriptors are ints. */
#define MAX_FD 2147483647.0

/* Throws an Error with `code` and `syscall`, and returns NULL: `return throw_error(...)` ends a function. */
napi_value throw_error(napi_env env, const char *code, const char *syscall, const char *message);

/* The same for a system call that has just failed: code and message come from `errno`. */
napi_value throw_errno(napi_env env, const char *function, const char *syscall);

#endif
