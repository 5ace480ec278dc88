#include "loop/settings_source.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"

#define PREFIX "CONTAINER_"

void settings_from_environ(struct settings *s, char *const *env) {
  size_t n = 0;
  while (env[n]) n++;
  while (n-- > 0) { /* from the end: of a name that is there twice the first counts, as for getenv */
    const char *eq = strchr(env[n], '=');
    if (!eq || !str_starts(env[n], PREFIX)) continue;
    auto_free char *name = strndup(env[n], (size_t)(eq - env[n]));
    if (name) settings_give(s, LAYER_ENVIRONMENT, name, eq + 1, "environment");
  }
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) != 0 || !*host) str_copy(host, sizeof host, "localhost");
  settings_variable(s, "HOSTNAME", host);
}

static const struct sources *kept;

void settings_source_given(const struct sources *given) { kept = given; }

/* The whole of a regular file of at most `most` bytes. */
static int read_regular(const char *path, size_t most, struct buf *out, struct err *err) {
  const struct source *given = kept ? sources_find(kept, path) : NULL;
  if (given) {
    buf_add(out, given->text, given->n);
    return out->failed ? err_set(err, -ENOMEM, "out of memory") : 0;
  }
  auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return err_set(err, -errno, "%s", strerror(errno));
  struct stat st;
  if (fstat(fd, &st) != 0) return err_set(err, -errno, "%s", strerror(errno));
  if (!S_ISREG(st.st_mode))
    return err_set(err, -EINVAL, "it is a %s",
                   S_ISDIR(st.st_mode)    ? "directory"
                   : S_ISFIFO(st.st_mode) ? "pipe"
                   : S_ISSOCK(st.st_mode) ? "socket"
                                          : "device");
  for (;;) {
    char *room = buf_room(out, 4096);
    if (!room) return err_set(err, -ENOMEM, "out of memory");
    ssize_t n = read(fd, room, 4096);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return err_set(err, -errno, "%s", strerror(errno));
    if (n == 0) return 0;
    out->len += (size_t)n;
    out->data[out->len] = 0;
    if (out->len > most) return err_set(err, -EFBIG, "it has more than %zu bytes", most);
  }
}

void settings_source_collect(const struct settings *s, struct sources *out) {
  const char *path;
  for (size_t i = 0; (path = settings_file(s, i)); i++) {
    auto_buf struct buf text = {0};
    struct err err = ERR_INIT;
    if (read_regular(path, LIMIT_JSON_FILE, &text, &err) == 0) sources_add(out, path, buf_cstr(&text), text.len);
    if (text.data) explicit_bzero(text.data, text.len);
  }
}

static void tell_file(struct problems *problems, const char *name, const char *path, const char *source,
                      const char *reason, const char *fix) {
  auto_buf struct buf allowed = {0};
  buf_fmt(&allowed, "a readable regular file (%s)", reason);
  problems_add(problems, &(struct problem){.class = PROBLEM_CONFIG,
                                           .check = "configuration",
                                           .name = name,
                                           .value = path,
                                           .source = source,
                                           .allowed = buf_cstr(&allowed),
                                           .fix = fix});
}

static void read_file(struct settings *s, const struct setting_file *f, struct problems *problems) {
  char file_name[256];
  snprintf(file_name, sizeof file_name, "%s_FILE", f->name);
  if (settings_given_origin(s, f->layer, f->name)) {
    auto_buf struct buf allowed = {0};
    buf_fmt(&allowed, "either %s or %s, but both are given", f->name, file_name);
    problems_add(problems, &(struct problem){.class = PROBLEM_CONFIG,
                                             .check = "configuration",
                                             .name = f->name,
                                             .source = f->origin,
                                             .allowed = buf_cstr(&allowed),
                                             .fix = "take one of the two away"});
    return;
  }
  auto_buf struct buf text = {0};
  struct err err = ERR_INIT;
  if (read_regular(f->path, LIMIT_SETTING_VALUE, &text, &err) != 0) {
    tell_file(problems, file_name, f->path, f->origin, err.msg, "correct the path or the file's permissions");
    explicit_bzero(text.data ? text.data : (char[1]){0}, text.len);
    return;
  }
  if (text.len > 0 && memchr(text.data, 0, text.len)) {
    tell_file(problems, file_name, f->path, f->origin, "it holds a NUL byte", "put the value into it as plain text");
    return;
  }
  if (text.len > 0 && text.data[text.len - 1] == '\n') text.data[--text.len] = 0;
  if (text.len > 0 && text.data[text.len - 1] == '\r') text.data[--text.len] = 0;
  if (text.len == 0) {
    problems_add(problems, &(struct problem){.class = PROBLEM_CONFIG,
                                             .warning = true,
                                             .check = "configuration",
                                             .name = file_name,
                                             .value = f->path,
                                             .source = f->origin,
                                             .allowed = "a file with the value in it; an empty one counts as not given",
                                             .fix = "write the value into it, or leave the setting out"});
    return;
  }
  settings_give(s, f->layer, f->name, text.data, f->path);
  explicit_bzero(text.data, text.len);
}

void settings_read_files(struct settings *s, struct problems *problems) {
  struct setting_file f;
  while (settings_take_file(s, &f)) {
    settings_note_file(s, f.path);
    read_file(s, &f, problems);
    free(f.name);
    free(f.path);
    free(f.origin);
  }
}

/* The line of each key of the top-level object, in order: cJSON does not keep them. */
struct key_lines {
  const char *p, *end;
  int line, depth;
  bool key_next;
};

static int next_key_line(struct key_lines *k) {
  while (k->p < k->end) {
    char c = *k->p++;
    if (c == '\n') k->line++;
    if (c == '{' || c == '[') {
      k->key_next = ++k->depth == 1;
    } else if (c == '}' || c == ']') {
      k->depth--;
    } else if (c == ',' && k->depth == 1) {
      k->key_next = true;
    } else if (c == '"') {
      int line = k->line;
      for (; k->p < k->end && *k->p != '"'; k->p++)
        if (*k->p == '\\' && k->p + 1 < k->end) k->p++;
      k->p++;
      if (k->depth == 1 && k->key_next) {
        k->key_next = false;
        return line;
      }
    }
  }
  return k->line;
}

/* restart_delay_seconds → CONTAINER_RESTART_DELAY_SECONDS; false: too long. */
static bool full_name(const char *key, char *out, size_t size) {
  bool has = strncasecmp(key, PREFIX, strlen(PREFIX)) == 0;
  int n = snprintf(out, size, "%s%s", has ? "" : PREFIX, key);
  for (char *p = out; *p; p++) *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
  return n > 0 && (size_t)n < size;
}

/* The value as text, false where it has none that a setting could take. */
static bool value_text(const cJSON *v, struct buf *out) {
  if (cJSON_IsString(v)) {
    buf_str(out, v->valuestring);
  } else if (cJSON_IsBool(v)) {
    buf_str(out, cJSON_IsTrue(v) ? "true" : "false");
  } else if (cJSON_IsNumber(v)) {
    struct json j = JSON_INIT(out);
    json_num(&j, NULL, v->valuedouble);
  } else if (cJSON_IsArray(v)) {
    const cJSON *item;
    cJSON_ArrayForEach(item, v) {
      if (!cJSON_IsString(item)) return false;
      if (out->len) buf_char(out, ':');
      buf_str(out, item->valuestring);
    }
  } else {
    return false;
  }
  return !out->failed;
}

static void give_member(struct settings *s, const cJSON *v, const char *origin, struct problems *problems) {
  char name[256];
  struct problem p = {.class = PROBLEM_CONFIG, .check = "configuration", .name = v->string, .source = origin};
  auto_buf struct buf text = {0};
  if (!full_name(v->string, name, sizeof name)) {
    p.allowed = "the name of a setting";
    p.fix = "take it out";
    problems_add(problems, &p);
  } else if (settings_given_origin(s, LAYER_FILE, name)) {
    p.name = name;
    p.allowed = "each setting once, but this one is there already";
    p.fix = "take one of them out";
    problems_add(problems, &p);
  } else if (!value_text(v, &text)) {
    p.name = name;
    p.allowed = "a string, a number, true, false or a list of paths";
    p.fix = "write the value as one of these";
    problems_add(problems, &p);
  } else {
    settings_give(s, LAYER_FILE, name, buf_cstr(&text), origin);
  }
}

void settings_from_file(struct settings *s, const char *path, struct problems *problems) {
  auto_buf struct buf text = {0};
  auto_json cJSON *root = NULL;
  struct err err = ERR_INIT;
  struct setting_view from = {0};
  bool ours = settings_view(s, PREFIX "CONFIG_FILE", &from) && from.text && STR_EQ(from.text, path);
  const char *source = ours ? from.origin : "the caller";
  settings_note_file(s, path);
  if (read_regular(path, LIMIT_JSON_FILE, &text, &err) != 0) {
    tell_file(problems, PREFIX "CONFIG_FILE", path, source, err.msg, "correct the path or the file's permissions");
    return;
  }
  if (json_parse(buf_cstr(&text), text.len, path, &root, &err) == 0) {
    int n = cJSON_GetArraySize(root);
    if (!cJSON_IsObject(root))
      err_set(&err, -EINVAL, "%s:1: not a JSON object", path);
    else if (json_has_nul(text.data, text.len))
      err_set(&err, -EINVAL, "%s: a text in it has a NUL character", path);
    else if (n > LIMIT_SETTINGS)
      err_set(&err, -E2BIG, "%s:1: %d settings, at most %d are read", path, n, LIMIT_SETTINGS);
  }
  if (err.code) {
    auto_buf struct buf allowed = {0};
    buf_fmt(&allowed, "a JSON object with settings (%s)", err.msg);
    problems_add(problems, &(struct problem){.class = PROBLEM_CONFIG,
                                             .check = "configuration",
                                             .name = PREFIX "CONFIG_FILE",
                                             .value = path,
                                             .source = source,
                                             .allowed = buf_cstr(&allowed),
                                             .fix = "correct the file"});
    return;
  }
  struct key_lines lines = {.p = text.data, .end = text.data + text.len, .line = 1};
  const cJSON *v;
  cJSON_ArrayForEach(v, root) {
    char origin[4096 + 16];
    snprintf(origin, sizeof origin, "%s:%d", path, next_key_line(&lines));
    if (!cJSON_IsNull(v)) give_member(s, v, origin, problems);
  }
}
