/* Functions that this code base does without; the build includes this file first in every unit. */
#ifndef TEND_BASE_BANNED_H
#define TEND_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok atoi atol atof

#endif
