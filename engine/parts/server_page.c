/* The live page, put together by the build from engine/parts/page/. */
#include "parts/server.h"

__asm__(".section .rodata\nserver_page:\n.incbin \"" SERVER_PAGE "\"\nserver_page_end:\n.byte 0\n.previous\n");
extern const char server_page[] __attribute__((visibility("hidden")));
extern const char server_page_end[] __attribute__((visibility("hidden")));

size_t server_page_len(void) { return (size_t)(server_page_end - server_page); }
