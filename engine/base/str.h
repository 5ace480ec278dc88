/* Strings: checked parsing, durations, spelling help, UTF-8. Nothing here allocates unless it says so. */
#ifndef TEND_BASE_STR_H
#define TEND_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STR_EQ(a, b) (strcmp((a), (b)) == 0)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Copies with truncation; always terminated. Returns false when it was cut. */
bool str_copy(char *to, size_t size, const char *from);
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* The whole string as a decimal integer in [min, max]: 0, -EINVAL (not a number), -ERANGE. */
int str_int(const char *s, int64_t min, int64_t max, int64_t *out);
/* true/false, yes/no, on/off, 1/0, any case. */
int str_bool(const char *s, bool *out);
/* A duration in ns: digits (with an optional fraction) and a suffix ms, s, m or h; a bare number counts in
 * `unit_ns`. 0, -EINVAL, -ERANGE (over 100 years). Negative ones are -EINVAL. */
int str_duration(const char *s, int64_t unit_ns, int64_t *out_ns);
/* The shortest exact text: "250ms", "10s", "5m", "1h". Returns buf. */
const char *str_format_duration(int64_t ns, char *buf, size_t size);

/* Edit distance with transpositions (Damerau 1964, in the form of the optimal string alignment), case-insensitive;
 * above `limit` it returns limit + 1. Strings over 64 bytes count as far apart. */
int str_distance(const char *a, const char *b, int limit);
/* The nearest of n names within a third of its length (at least 1), or NULL; of equally near ones the first by its
 * bytes, whatever order they come in. */
const char *str_nearest(const char *s, const char *const *names, size_t n);

/* Length in bytes of the valid UTF-8 sequence at p (1 to 4), 0 when it is not valid (n bytes are there). */
size_t str_utf8_len(const char *p, size_t n);
bool str_utf8_valid(const char *p, size_t n);
/* How many bytes at the beginning are printable ASCII without " and \: what JSON takes as it is. */
size_t str_plain(const char *p, size_t n);

/* Signal numbers by name, with or without SIG, or by number; RTMIN+n, RTMAX-n. 0 when there is none such. */
int str_signal(const char *s);
/* "TERM", "RTMIN+3"; "0" for what is no signal. Returns buf. */
const char *str_signal_name(int sig, char *buf, size_t size);

#endif
