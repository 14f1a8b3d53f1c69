/* Who is at the other end of a unix socket, as the kernel knows it: the peer cannot lie. */
#define _GNU_SOURCE
#include "addon.h"

#include <sys/socket.h>

/* peerOf(fd): { pid, uid, gid } */
static napi_value peer_of(napi_env env, napi_callback_info info) {
  napi_value argument;
  double fd;
  read_arguments(env, info, 1, &argument);
  if (!read_integer(env, argument, "peerOf: fd", 0, MAX_FD, &fd)) return NULL;

  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt((int)fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return throw_errno(env, "peerOf", "getsockopt");
  /* the kernel's answer for what is not a unix socket, and for one that is not connected */
  if (peer.uid == (uid_t)-1) {
    return throw_error(env, "ENOTCONN", "getsockopt", "peerOf: the descriptor is not a connected unix socket");
  }
  napi_value result;
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  define_number(env, result, "pid", peer.pid);
  define_number(env, result, "uid", peer.uid);
  define_number(env, result, "gid", peer.gid);
  return result;
}

void define_peer(napi_env env, napi_value exports) {
  define_function(env, exports, "peerOf", peer_of);
}
