/* The live page, put together by the build from engine/parts/page/. */
#include "parts/server.h"

__asm__(".section .rodata\nserver_page_begin:\n.incbin \"" SERVER_PAGE "\"\nserver_page_end:\n.byte 0\n.previous\n");
extern const char server_page_begin[] __attribute__((visibility("hidden")));
extern const char server_page_end[] __attribute__((visibility("hidden")));

const char *server_page(size_t *n) {
  *n = (uintptr_t)server_page_end - (uintptr_t)server_page_begin;
  return server_page_begin;
}
