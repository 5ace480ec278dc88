/* Where settings come from: the environment, the configuration file, files of single values (NAME_FILE). All here may
 * read files and never blocks on a pipe or a device. Values go to core/settings; what is wrong with a source to
 * problems. */
#ifndef TEND_LOOP_SETTINGS_SOURCE_H
#define TEND_LOOP_SETTINGS_SOURCE_H

#include "core/settings.h"
#include "core/sources.h"

/* Every CONTAINER_ variable; ${HOSTNAME}. Reads nothing else. */
void settings_from_environ(struct settings *s, char *const *env);

/* A JSON object: {"RESTART_DELAY_SECONDS": 5, "CONTAINER_LOG_LEVEL": "debug"}, names with or without CONTAINER_, in any
 * case; strings, numbers, true and false, lists of strings for paths; null is not given. */
void settings_from_file(struct settings *s, const char *path, struct problems *problems);

/* These texts are taken in place of the files of that path; NULL: none (any more). They stay the caller's. */
void settings_source_given(const struct sources *given);
/* Adds the files that the settings came from, as they are now. */
void settings_source_collect(const struct settings *s, struct sources *out);

/* Reads every NAME_FILE whose NAME is known by now. Again after a flow has declared its settings. */
void settings_read_files(struct settings *s, struct problems *problems);

#endif
