/* tend test FLOW: the specs of a flow, run by busted in a Lua of its own (docs/testing.md). This part finds the flow,
 * its specs and busted, and gives the rest to scripts/testing through the environment: TEND_TEST_PROGRAM, _FLOWS,
 * _SCRIPTS, and _API, a file that holds the Lua halves of the API that are inside this program. Exit: 0; 1 where a spec
 * fails or there is none, 69 without busted, 78 without the flow. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/place.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/load.h"

enum { SPECS_MAX = 8 };

struct testing {
  struct load load;
  char flow[PATH_MAX];    /* the flow file */
  char folder[PATH_MAX];  /* where it lies */
  char library[PATH_MAX]; /* the scripts directory with testing/ */
  char busted[PATH_MAX], lua[PATH_MAX];
  char *specs[SPECS_MAX];
  size_t n;
};

/* The first DIR/name that is there, in a colon list. */
static bool search(const char *dirs, const char *name, int mode, char *out, size_t size) {
  while (*dirs) {
    size_t n = strcspn(dirs, ":");
    int len = snprintf(out, size, "%.*s/%s", (int)n, dirs, name);
    if (n && len > 0 && (size_t)len < size && access(out, mode) == 0) return true;
    dirs += n + (dirs[n] == ':');
  }
  *out = 0;
  return false;
}

static int find_flow(struct testing *t) {
  char name[LIMIT_NAME + 8];
  const char *flows = buf_cstr(&t->load.flows);
  snprintf(name, sizeof name, "%s.lua", t->load.flow);
  if (!plan_flow_name_valid(t->load.flow) || !search(flows, name, R_OK, t->flow, sizeof t->flow)) {
    fprintf(stderr, "tend test: there is no flow \"%s\" in %s; --flows DIR says where else to look\n", t->load.flow,
            flows);
    return EXIT_CONFIG;
  }
  str_copy(t->folder, sizeof t->folder, t->flow);
  *strrchr(t->folder, '/') = 0;
  return 0;
}

/* Beside the flow, in spec/ there, and in spec/flows beside the folder of flows, as a checkout has it. */
static int find_specs(struct testing *t) {
  static const char *const forms[] = {"%s/%s_spec.lua", "%s/spec/%s_spec.lua", "%s/../spec/flows/%s_spec.lua"};
  auto_buf struct buf looked = {0};
  for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
    char *path = NULL;
    if (asprintf(&path, forms[i], t->folder, t->load.flow) < 0) return EXIT_SYSTEM;
    buf_fmt(&looked, "%s%s", i ? ", " : "", path);
    if (access(path, R_OK) == 0)
      t->specs[t->n++] = path;
    else
      free(path);
  }
  if (t->n) return 0;
  fprintf(stderr, "tend test: flow %s has no specs; looked for %s\n", t->load.flow, buf_cstr(&looked));
  return EXIT_FAILED;
}

static int find_busted(struct testing *t) {
  const char *path = getenv("PATH");
  if (!path) path = "/usr/local/bin:/usr/bin:/bin";
  if (!search(path, "busted", X_OK, t->busted, sizeof t->busted)) {
    fputs(
        "tend test: busted is not installed, and it runs the specs. Debian: apt-get install lua-busted; elsewhere: "
        "luarocks install busted\n",
        stderr);
    return EXIT_DEPENDENCY;
  }
  if (!search(path, "lua5.4", X_OK, t->lua, sizeof t->lua)) search(path, "lua54", X_OK, t->lua, sizeof t->lua);
  auto_buf struct buf dirs = {0};
  char share[PATH_MAX];
  load_share("scripts", share, sizeof share);
  buf_fmt(&dirs, "%s:%s", buf_cstr(&t->load.scripts), share);
  if (search(buf_cstr(&dirs), "testing/init.lua", R_OK, t->library, sizeof t->library)) {
    t->library[strlen(t->library) - strlen("/testing/init.lua")] = 0;
    return 0;
  }
  fprintf(stderr, "tend test: testing/init.lua is in none of %s; it comes with tend, in its scripts\n",
          buf_cstr(&dirs));
  return EXIT_DEPENDENCY;
}

/* A file that no folder has, which what is executed can read as /proc/self/fd/N: "NAME BYTES\n", the text, and so on.
 */
static int give_api(void) {
  int fd = memfd_create("tend-api", 0);
  auto_buf struct buf out = {0};
  const char *name, *text;
  size_t n;
  for (size_t i = 0; (text = vm_embedded(i, &name, &n)); i++) {
    buf_fmt(&out, "%s %zu\n", name, n);
    buf_add(&out, text, n);
  }
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  for (size_t at = 0; fd >= 0 && at < out.len;) {
    ssize_t written = write(fd, out.data + at, out.len - at);
    if (written <= 0) return -EIO;
    at += (size_t)written;
  }
  return fd < 0 || out.failed || setenv("TEND_TEST_API", path, 1) ? -EIO : 0;
}

static int give_environment(const struct testing *t) {
  const char *exe = place_self();
  if (!*exe) return -EIO;
  const char *others = getenv("LUA_PATH_5_4");
  if (!others) others = getenv("LUA_PATH");
  auto_buf struct buf path = {0};
  buf_fmt(&path, "%s/?.lua;%s/?/init.lua;%s", t->library, t->library, others ? others : ";");
  return setenv("LUA_PATH_5_4", buf_cstr(&path), 1) || setenv("TEND_TEST_PROGRAM", exe, 1) ||
                 setenv("TEND_TEST_FLOWS", buf_cstr(&t->load.flows), 1) ||
                 setenv("TEND_TEST_SCRIPTS", buf_cstr(&t->load.scripts), 1)
             ? -ENOMEM
             : give_api();
}

/* A busted that is a Lua program gets the Lua that it must have; its own --lua goes through a shell, which splits
 * paths. */
static bool is_lua_program(const char *path) {
  char head[64] = "";
  FILE *f = fopen(path, "re");
  bool lua = f && fgets(head, sizeof head, f) && str_starts(head, "#!") && strstr(head, "lua");
  if (f) fclose(f);
  return lua;
}

static int run(struct testing *t, const struct options *o) {
  char config[PATH_MAX + 128], *argv[SPECS_MAX + 8];
  size_t n = 0;
  if (*t->lua && is_lua_program(t->busted)) argv[n++] = t->lua;
  argv[n++] = t->busted;
  snprintf(config, sizeof config, "--config-file=%s/testing/busted.lua", t->library);
  argv[n++] = config;
  if (o->json || o->tap) argv[n++] = (char *)(o->json ? "--output=json" : "--output=TAP");
  for (size_t i = 0; i < t->n; i++) argv[n++] = t->specs[i];
  argv[n] = NULL;
  if (give_environment(t)) {
    fputs("tend test: no memory, or no /proc, for what the specs need\n", stderr);
    return EXIT_SYSTEM;
  }
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    execv(argv[0], argv);
    fprintf(stderr, "tend test: %s: %s\n", argv[0], strerror(errno));
    _exit(EXIT_NOT_EXECUTABLE);
  }
  int status;
  while (pid > 0 && waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return EXIT_SYSTEM;
  if (pid < 0) return EXIT_SYSTEM;
  if (WIFSIGNALED(status)) return EXIT_SIGNALED + WTERMSIG(status);
  if (WEXITSTATUS(status) == EXIT_NOT_EXECUTABLE || WEXITSTATUS(status) == EXIT_NOT_FOUND) return EXIT_DEPENDENCY;
  return WEXITSTATUS(status) ? EXIT_FAILED : 0;
}

int cmd_test(int argc, char **argv) {
  struct options options;
  const char *flow = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
  if (flow) { /* it comes before the options */
    argv[1] = argv[0];
    argv++;
    argc--;
  }
  int rc = options_parse(&options, argc, argv, OPTIONS_FLOW | OPTIONS_JSON | OPTIONS_TEST);
  if (rc) return rc;
  if (options.help) return cmd_help(2, (char *[]){(char *)"help", (char *)"test", NULL});
  if (flow) options.flow_name = flow;
  struct testing t = {0};
  struct err err = ERR_INIT;
  if (load_settings(&t.load, &options, &err)) {
    fprintf(stderr, "tend test: %s\n", err.msg);
    rc = EXIT_SYSTEM;
  } else if (!t.load.flow[0]) {
    fputs("tend test: which flow? tend test FLOW\n", stderr);
    rc = EXIT_USAGE;
  } else if (!(rc = find_flow(&t)) && !(rc = find_specs(&t)) && !(rc = find_busted(&t))) {
    rc = run(&t, &options);
  }
  for (size_t i = 0; i < t.n; i++) free(t.specs[i]);
  load_free(&t.load);
  return rc;
}
