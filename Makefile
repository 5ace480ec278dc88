# tend. `make help` lists the targets; all output goes to $(BUILD).
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC := $(if $(shell command -v ccache),ccache gcc,gcc)

# --- flags ----------------------------------------------------------------------------------------------------------
CFLAGS ?= -O2 -g
comma := ,
SAN ?=# sanitizers and coverage; set by `make asan` and `make coverage`
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wformat=2 \
  -Wundef -Wwrite-strings -Wno-format-nonliteral
HARDEN := -fstack-protector-strong $(if $(filter x86_64%,$(shell gcc -dumpmachine)),-fcf-protection) $(if $(SAN),,-D_FORTIFY_SOURCE=2)
# A char has a sign on every machine: else one is what the tests of another have not seen.
COMMON := -std=gnu11 -fsigned-char -D_GNU_SOURCE -Iinclude -include engine/base/banned.h -MMD -MP $(CFLAGS) $(HARDEN) $(WARN) $(SAN)
# libev's and Lua's headers are not ours to warn about
ENGINE := $(COMMON) -fPIE -Iengine -isystem /usr/include/lua5.4
# Few segments: less to map and to copy at each start. No packed relocations: they would ask for glibc 2.36.
LINK := $(CFLAGS) $(SAN) -Wl,-z,relro,-z,now -Wl,--as-needed -Wl,-z,noseparate-code
# BUNDLE=1: for a tree with its libraries beside it (deploy/image/bundle.sh). The old kind of run path, since it counts for
# the libraries of the libraries too; the loader's look at it is 2 % of a start, so other trees have none.
BUNDLE ?=
RPATH := $(if $(BUNDLE),-Wl$(comma)-rpath$(comma)'$$ORIGIN/../lib/tend/lib' -Wl$(comma)--disable-new-dtags)
# No libm: each shared object more makes each start later. Lua asks libtend.a for it (base/late_math.c), which asks Lua.
LIBS := -Wl,--start-group $(BUILD)/libtend.a -l:liblua5.4.a -Wl,--end-group -l:libev.a -l:libcares.a -lcjson -ldl

# A program without libc.
NOLIBC := -nostdlib -ffreestanding -fno-stack-protector -fcf-protection=none -fno-tree-loop-distribute-patterns

# --- the program ----------------------------------------------------------------------------------------------------
DIRS := base core guard init helper loop probes health web supervisor lua client cmd
SRC := $(filter-out engine/helper/main.c engine/guard/main.c,$(foreach d,$(DIRS),$(wildcard engine/$(d)/*.c)))
OBJ := $(SRC:engine/%.c=$(BUILD)/obj/%.o)
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))

# Parts are shared objects that see include/tend/ and their one library; a part whose library is not there is left out.
PART_postgres := libpq
PART_http := libcurl
PART_server := libmicrohttpd
PART_prompt := libedit
ALL_PARTS := postgres http server prompt
PARTS := $(foreach p,$(ALL_PARTS),$(if $(wildcard engine/parts/$(p)*.c),$(if $(shell pkg-config --exists $(PART_$(p)) 2>/dev/null && echo y),$(p))))
PART_OBJ := $(patsubst engine/%.c,$(BUILD)/obj/%.o,$(foreach p,$(PARTS),$(wildcard engine/parts/$(p)*.c)))

# Only where the guard can do without libc: base/rawcall.h knows the machine.
GUARD := $(if $(filter x86_64% aarch64%,$(shell gcc -dumpmachine)),$(BUILD)/tend-guard)

.PHONY: all
all: $(BUILD)/tend $(BUILD)/tend-helper $(GUARD) $(PARTS:%=$(BUILD)/parts/%.so)
	@for p in $(filter-out $(PARTS),$(ALL_PARTS)); do echo "  the part $$p is left out: pkg-config does not find its library"; done

$(BUILD)/obj/parts/%.o: engine/parts/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"; $(CC) $(COMMON) -iquote engine -fPIC -fvisibility=hidden $(foreach p,$(PARTS),$(if $(filter $(p)%,$*),$(shell pkg-config --cflags $(PART_$(p)) | sed 's/-I/-isystem /g'))) -c -o $@ $<

$(BUILD)/obj/%.o: engine/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"; $(CC) $(ENGINE) -c -o $@ $<

# the live page is one text
PAGE := $(addprefix engine/parts/page/,index.html page.css plot.js view.js page.js)
$(BUILD)/page.html: $(PAGE)
	@mkdir -p $(@D)
	@awk 'function put(f,  l) { while ((getline l < (dir f)) > 0) print l } \
	  /^<!-- put / { put($$3); next } { print }' dir=engine/parts/page/ $< >$@
$(BUILD)/obj/parts/server_page.o: $(BUILD)/page.html
$(BUILD)/obj/parts/server_page.o: COMMON += -DSERVER_PAGE='"$(BUILD)/page.html"'

# holds the Lua halves as text, and the stubs
$(BUILD)/stubs.lua: $(wildcard scripts/tend/_meta/*.lua) scripts/tend/repl_stubs.lua
	@mkdir -p $(@D)
	@cat $(sort $^) >$@
$(BUILD)/obj/lua/embed.o: $(wildcard scripts/tend/*.lua) $(BUILD)/stubs.lua
$(BUILD)/obj/lua/embed.o: ENGINE += -DSTUBS='"$(BUILD)/stubs.lua"'

$(BUILD)/libtend.a: $(OBJ)
	@rm -f $@
	@echo "  AR      $@"; ar rcs $@ $^

# What the linker writes here and there lies in the page cache in single pages; a copy, as any installation makes one,
# lies there in large pieces, which are mapped at a go: 0.1 ms of each start.
COPY = cp $@.linked $@.new && mv $@.new $@ && rm $@.linked

$(BUILD)/tend: $(BUILD)/obj/main.o $(BUILD)/libtend.a
	@echo "  LD      $@"; $(CC) -pie $(LINK) $(RPATH) -o $@.linked $< $(LIBS) && $(COPY)

# What tend's own helpers are. Static: most of a short life would be the loading of libraries.
$(BUILD)/tend-helper: $(BUILD)/obj/helper/main.o $(BUILD)/libtend.a
	@echo "  LD      $@"; $(CC) $(if $(SAN),-pie,-static-pie) $(LINK) -o $@.linked $^ && $(COPY)

# What the guard becomes: a page or two, and no time to end.
$(BUILD)/tend-guard: engine/guard/main.c engine/guard/guard.c
	@mkdir -p $(@D)
	@echo "  LD      $@"; gcc $(filter-out -fPIE -MMD -MP -fstack-protector-strong -D_FORTIFY_SOURCE=2 $(SAN),$(ENGINE)) $(NOLIBC) -static-pie -fPIE \
	  -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,--build-id=none -MMD -MP -MF $@.d -o $@.linked $^ && $(COPY)

define part_objects
$(BUILD)/parts/$(1).so: $(patsubst engine/%.c,$(BUILD)/obj/%.o,$(wildcard engine/parts/$(1)*.c))
endef
$(foreach p,$(PARTS),$(eval $(call part_objects,$(p))))
$(BUILD)/parts/%.so:
	@mkdir -p $(@D)
	@echo "  LD      $@"; $(CC) -shared $(LINK) -o $@.linked $^ $(shell pkg-config --libs $(PART_$*)) && $(COPY)

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libtend.a
	@mkdir -p $(@D)
	@echo "  CC      $@"; $(CC) $(ENGINE) -Wno-write-strings $(LINK) -pie -o $@ $< -lcmocka $(LIBS)

# The tests' own Lua module is loaded by the system's Lua, so it has no sanitizer.
$(BUILD)/tests/native.so: tests/system/native.c tests/system/native_socket.c tests/system/native_socket.h tests/native.h
	@mkdir -p $(@D)
	@echo "  CC      $@"; $(CC) $(filter-out -MMD -MP $(SAN),$(COMMON)) -fPIC -isystem /usr/include/lua5.4 -shared -o $@ $(filter %.c,$^)

# Programs that tests start in place of tend.
TOOLS := $(BUILD)/tests/probe
$(BUILD)/tests/probe: tests/system/probe_tool.c $(BUILD)/libtend.a
	@mkdir -p $(@D)
	@echo "  CC      $@"; $(CC) $(ENGINE) $(LINK) -pie -o $@ $< $(LIBS)

# The bench's: programs without libc, and the clockwork for Lua. The programs are measured, so they take no flags of ours.
BARE := -std=gnu11 -O2 -Wall -Wextra -Werror -static $(NOLIBC) -fno-pie -no-pie -MMD -MP
BENCH := $(patsubst tests/bench/tools/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/tools/*.c)) \
  $(patsubst tests/bench/helpers/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/helpers/*.c)) \
  $(patsubst tests/bench/engine/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/engine/*.c)) $(BUILD)/bench/benchnative.so
$(BUILD)/bench/benchnative.so: tests/bench/native.c tests/bench/tools/record.h tests/native.h
	@mkdir -p $(@D)
	@echo "  CC      $@"; $(CC) $(filter-out $(SAN),$(COMMON)) -fPIC -isystem /usr/include/lua5.4 -shared -o $@ $<
$(BUILD)/bench/%: tests/bench/helpers/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"; $(CC) $(filter-out $(SAN),$(COMMON)) -o $@ $<
$(BUILD)/bench/%: tests/bench/engine/%.c $(BUILD)/libtend.a
	@mkdir -p $(@D)
	@echo "  CC      $@"; $(CC) $(ENGINE) $(LINK) -pie -o $@ $< $(LIBS)
$(BUILD)/bench/%: tests/bench/tools/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"; gcc $(BARE) -MF $@.d -o $@ $<

TOOLS += $(BENCH)

# --- run and test ---------------------------------------------------------------------------------------------------
.PHONY: run test bench unit spec system container check layers luacheck format-check format lint asan coverage
run: ## build, and run flow rpa1 in the foreground (a private PostgreSQL where none is given)
	@.ci/deps run
	@$(MAKE) --no-print-directory all
	@exec deploy/local/run.sh

test: ## all tests: unit, spec, system and container
	@.ci/deps test container
	@$(MAKE) --no-print-directory all tests
	@BUILD=$(BUILD) tests/container/images.sh
	@BUILD=$(BUILD) tests/run.sh unit spec system container

.PHONY: tests
tests: $(UNIT) $(BUILD)/tests/native.so $(TOOLS)

unit: all $(UNIT) ## the C units (cmocka)
	@BUILD=$(BUILD) tests/run.sh unit
spec: all ## the Lua specs (busted)
	@BUILD=$(BUILD) tests/run.sh spec
system: all $(BUILD)/tests/native.so $(TOOLS) ## the real binary; FILES=... for some of them
	@BUILD=$(BUILD) tests/run.sh $(or $(FILES),system)

container: all $(BUILD)/tests/native.so ## the image, built and run (needs root, podman, buildah, mmdebstrap)
	@BUILD=$(BUILD) tests/container/images.sh
	@BUILD=$(BUILD) tests/run.sh $(or $(FILES),container)

bench: ## figures against their limits and against peers; writes docs/benchmarks.md. FIGURES=start,stop for some of them
	@.ci/deps bench || echo "  what is not there is left out"
	@$(MAKE) --no-print-directory all $(BENCH) $(BUILD)/tests/native.so
	@BUILD=$(BUILD) BENCH_CFLAGS="$(CFLAGS)" lua5.4 tests/bench/bench.lua $(FIGURES)

check: all $(UNIT) layers luacheck format-check docs-check ## what to run before each commit
	@BUILD=$(BUILD) JOBS=$(or $(JOBS),4) tests/run.sh unit spec # many of them wait more than they compute

layers: ## the arrows between the folders, read off the #includes
	@tests/layers.sh

LUA_SOURCES = $(wildcard scripts flows spec docs) tests
luacheck: ## luacheck on all Lua
	@if command -v luacheck >/dev/null; then luacheck --no-color --quiet $(LUA_SOURCES); else echo "luacheck is not there (Debian: lua-check); left out"; fi

C_SOURCES = $(shell find engine include docs/examples tests -name '*.[ch]')
format: ## clang-format on all C
	@clang-format -i $(C_SOURCES)
format-check:
	@if command -v clang-format >/dev/null; then clang-format --dry-run -Werror $(C_SOURCES); else echo "clang-format is not there; left out"; fi

lint: ## clang-tidy, cppcheck, shellcheck, length of files
	@.ci/deps lint
	@tests/lint.sh

asan: ## unit and system tests under AddressSanitizer and UBSan, in build-asan/
	@.ci/deps test
	@$(MAKE) --no-print-directory BUILD=build-asan CFLAGS="-O1 -g -fno-omit-frame-pointer" \
	  SAN="-fsanitize=address,undefined -fno-sanitize-recover=all" all tests
	@BUILD=build-asan TEST_SLOW=3 tests/run.sh unit $(or $(FILES),system)

coverage: ## line coverage of the C code, in build-cov/ (gcovr)
	@.ci/deps test lint
	@$(MAKE) --no-print-directory BUILD=build-cov CFLAGS="-O0 -g -DCOVERED" SAN=--coverage all tests
	@find build-cov -name '*.gcda' -delete
	@BUILD=build-cov TEST_SLOW=2 tests/run.sh unit $(or $(FILES),system)
	@gcovr -r . --object-directory build-cov -e 'tests/' --exclude-throw-branches --print-summary --txt build-cov/coverage.txt
	@cat build-cov/coverage.txt

# --- docs, install --------------------------------------------------------------------------------------------------
.PHONY: docs docs-check install deps help clean
docs: all ## write the generated docs anew
	@docs/generate.sh
docs-check: all
	@docs/generate.sh --check

install: all ## DESTDIR= PREFIX=
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/tend/parts $(DESTDIR)$(PREFIX)/share/tend
	install -m 755 $(BUILD)/tend $(DESTDIR)$(PREFIX)/bin/tend
	install -m 755 $(BUILD)/tend-helper $(GUARD) $(DESTDIR)$(PREFIX)/lib/tend/
	$(if $(PARTS),install -m 644 $(PARTS:%=$(BUILD)/parts/%.so) $(DESTDIR)$(PREFIX)/lib/tend/parts/)
	cp -R --no-preserve=ownership flows scripts $(DESTDIR)$(PREFIX)/share/tend/
	install -d $(DESTDIR)$(PREFIX)/include/tend $(DESTDIR)$(PREFIX)/share/tend/examples/probes
	install -m 644 include/tend/*.h $(DESTDIR)$(PREFIX)/include/tend/
	install -m 644 docs/examples/probes/* $(DESTDIR)$(PREFIX)/share/tend/examples/probes/
	rm -f $(DESTDIR)$(PREFIX)/share/tend/scripts/tend/*.lua # inside the program; what editors read stays
	install -D -m 644 docs/tend.1 $(DESTDIR)$(PREFIX)/share/man/man1/tend.1
	install -D -m 644 deploy/completion/tend.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tend
	install -D -m 644 deploy/completion/_tend $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_tend

.PHONY: image
image: ## the container images tend and tend:distroless, with docker, podman or buildah
	@deploy/image/build.sh

deps: ## install the Debian packages for everything above
	@.ci/deps --install build run test container lint

clean: ## remove what was built
	rm -rf build build-asan build-cov

help: ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

.SECONDARY:
-include $(OBJ:.o=.d) $(PART_OBJ:.o=.d) $(BUILD)/obj/main.d $(BUILD)/obj/helper/main.d $(UNIT:=.d) $(wildcard $(BUILD)/bench/*.d)
