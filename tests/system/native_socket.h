/* The sockets of the specs' Lua module: functions for its table. */
#ifndef TESTS_SYSTEM_NATIVE_SOCKET_H
#define TESTS_SYSTEM_NATIVE_SOCKET_H

#include <lauxlib.h>

extern const luaL_Reg native_sockets[];

#endif
