# tend: see `make help`.
BUILD ?= build
CC := $(shell command -v ccache >/dev/null 2>&1 && echo "ccache gcc" || echo gcc)
PREFIX ?= /usr/local

CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wformat=2 \
  -Wundef -Wwrite-strings -Wno-format-nonliteral
HARDEN := -fPIE -fstack-protector-strong -fcf-protection -D_FORTIFY_SOURCE=2
# libev's and Lua's headers are not ours to warn about
CPPFLAGS := -D_GNU_SOURCE -Iengine -Iinclude -isystem /usr/include/lua5.4 -include engine/base/banned.h
LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed
LIBS := -l:liblua5.4.a -l:libev.a -l:libcares.a -lcjson -lm -ldl

DIRS := base core init helper loop lua client cmd
SRC := $(foreach d,$(DIRS),$(wildcard engine/$(d)/*.c))
OBJ := $(SRC:engine/%.c=$(BUILD)/obj/%.o)
TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))

all: $(BUILD)/tend

$(BUILD)/obj/%.o: engine/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"; $(CC) $(CPPFLAGS) $(CFLAGS) $(HARDEN) $(WARN) -std=gnu11 -MMD -MP -c -o $@ $<

$(BUILD)/libtend.a: $(OBJ)
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/tend: $(BUILD)/obj/main.o $(BUILD)/libtend.a
	@echo "  CC      $@"; $(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libtend.a
	@mkdir -p $(@D)
	@echo "  CC      $@"; $(CC) $(CPPFLAGS) $(CFLAGS) $(HARDEN) $(WARN) -std=gnu11 -MMD -MP $(LDFLAGS) -o $@ $< $(BUILD)/libtend.a -lcmocka $(LIBS)

unit: $(TESTS)
	@for t in $(TESTS); do $$t || exit 1; done

.PHONY: all unit
.SECONDARY:
-include $(OBJ:.o=.d) $(BUILD)/obj/main.d $(TESTS:=.d)
