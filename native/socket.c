/*
 * Pairs of connected sockets, and packets with descriptors on them: what a process needs to hand descriptors to another.
 * JavaScript has neither: Node sends descriptors only to children that it has spawned with a channel of its own.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* socketPair(packets): [number, number], both closed by exec; packets keep their boundaries, a stream does not */
static napi_value socket_pair(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  bool packets;
  read_arguments(env, info, 1, &argument);
  if (napi_get_value_bool(env, argument, &packets) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "socketPair: packets must be a boolean");
    return NULL;
  }
  int fds[2];
  if (socketpair(AF_UNIX, (packets ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC, 0, fds) != 0) {
    return throw_errno(env, "socketPair", "socketpair");
  }
  if (napi_create_array_with_length(env, 2, &result) != napi_ok) return NULL;
  for (uint32_t i = 0; i < 2; i++) {
    /* those of a stream become Node's */
    if (packets) close_with_thread(env, fds[i]);
    napi_value number;
    if (napi_create_int32(env, fds[i], &number) != napi_ok) return NULL;
    napi_set_element(env, result, i, number);
  }
  return result;
}

/* sendPacket(socket, bytes, fds): boolean, false when there is no room now. The descriptors stay the caller's, too. */
static napi_value send_packet(napi_env env, napi_callback_info info) {
  napi_value arguments[3], result;
  double socket;
  void *bytes;
  size_t length;
  int fds[MAX_PACKET_FDS];
  read_arguments(env, info, 3, arguments);
  if (!read_integer(env, arguments[0], "sendPacket: socket", 0, MAX_FD, &socket)) return NULL;
  if (napi_get_buffer_info(env, arguments[1], &bytes, &length) != napi_ok || length == 0 || length > MAX_PACKET_BYTES) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "sendPacket: bytes must be a Buffer of 1 to 16384 bytes");
    return NULL;
  }
  int count = read_descriptors(env, arguments[2], "sendPacket: fds", fds);
  if (count < 0) return NULL;

  struct iovec part = {.iov_base = bytes, .iov_len = length};
  union { struct cmsghdr header; char room[CMSG_SPACE(sizeof fds)]; } control;
  struct msghdr message;
  memset(&message, 0, sizeof message);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (count > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(rights), fds, (size_t)count * sizeof(int));
  }
  ssize_t sent;
  do sent = sendmsg((int)socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno != EAGAIN) return throw_errno(env, "sendPacket", "sendmsg");
  return napi_get_boolean(env, sent >= 0, &result) == napi_ok ? result : NULL;
}

ssize_t receive_packet(int socket, char *bytes, int *fds, int *fd_count) {
  struct iovec part = {.iov_base = bytes, .iov_len = MAX_PACKET_BYTES};
  union { struct cmsghdr header; char room[CMSG_SPACE(MAX_PACKET_FDS * sizeof(int))]; } control;
  struct msghdr message;
  memset(&message, 0, sizeof message);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = &control;
  message.msg_controllen = sizeof control;
  *fd_count = 0;
  ssize_t length = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (length <= 0) return length;
  bool is_cut = (message.msg_flags & MSG_CTRUNC) != 0; /* this process has no descriptors left */
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    *fd_count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(header), (size_t)*fd_count * sizeof(int));
  }
  if (!is_cut) return length;
  for (int i = 0; i < *fd_count; i++) close(fds[i]);
  *fd_count = -1;
  return length;
}

void define_socket(napi_env env, napi_value exports) {
  define_function(env, exports, "socketPair", socket_pair);
  define_function(env, exports, "sendPacket", send_packet);
}
