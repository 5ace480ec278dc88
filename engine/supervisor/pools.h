/* The pools of databases that the part postgres keeps, by their names in the settings: numbers, and the reset.
 */
#ifndef TEND_SUPERVISOR_POOLS_H
#define TEND_SUPERVISOR_POOLS_H

#include "core/metric.h"
#include "core/settings.h"

/* Closes the connections of that database's pool: how many, 0 where it has none. -ENOENT: no database of that name;
 * -ENOTSUP: no connection has been made by tend at all. */
int pools_reset(const struct settings *settings, const char *database);

/* tend_database_pool_connections{database,state}, …_waiting, …_size, …_oldest_seconds, …_opened_total, …_dropped_total.
 */
void pools_publish(const struct settings *settings, struct metrics *metrics);

#endif
