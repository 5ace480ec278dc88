/* A JSON value as a tree of items, to be read and changed. The names are those that users of the library cJSON know,
 * and what they do is what these know from there; it is tend's own because a program that is linked to one library more
 * starts later. A container's items are a list: `child` is the first, its `prev` the last, and `next` ends with NULL.
 * An item belongs to the container that it was added to, else to whoever made it. */
#ifndef TEND_BASE_JSON_TREE_H
#define TEND_BASE_JSON_TREE_H

#include <stdbool.h>
#include <stddef.h>

enum {
  cJSON_False = 1 << 0,
  cJSON_True = 1 << 1,
  cJSON_NULL = 1 << 2,
  cJSON_Number = 1 << 3,
  cJSON_String = 1 << 4,
  cJSON_Array = 1 << 5,
  cJSON_Object = 1 << 6,
  cJSON_StringIsConst = 1 << 9, /* its name is not its own */
};

typedef struct cJSON {
  struct cJSON *next, *prev, *child;
  int type; /* one of the above; with cJSON_StringIsConst where that is so */
  char *valuestring;
  int valueint; /* the nearest int to valuedouble */
  double valuedouble;
  char *string; /* its name in an object */
} cJSON;

#define cJSON_ArrayForEach(item, container) \
  for (item = (container) != NULL ? (container)->child : NULL; item != NULL; item = item->next)

/* --- reading ---
 * NULL: no JSON or no memory; *end (which may be NULL) is then where it went wrong, else behind the value. What follows
 * the value is not looked at. Bytes of strings are taken as they are. */
cJSON *json_read(const char *text, size_t n, const char **end);
cJSON *cJSON_ParseWithLength(const char *text, size_t n);
cJSON *cJSON_Parse(const char *text);

/* Any of these takes NULL, and is false then. */
static inline bool cJSON_is(const cJSON *v, int types) { return v && (v->type & types); }
static inline bool cJSON_IsFalse(const cJSON *v) { return cJSON_is(v, cJSON_False); }
static inline bool cJSON_IsTrue(const cJSON *v) { return cJSON_is(v, cJSON_True); }
static inline bool cJSON_IsBool(const cJSON *v) { return cJSON_is(v, cJSON_True | cJSON_False); }
static inline bool cJSON_IsNull(const cJSON *v) { return cJSON_is(v, cJSON_NULL); }
static inline bool cJSON_IsNumber(const cJSON *v) { return cJSON_is(v, cJSON_Number); }
static inline bool cJSON_IsString(const cJSON *v) { return cJSON_is(v, cJSON_String); }
static inline bool cJSON_IsArray(const cJSON *v) { return cJSON_is(v, cJSON_Array); }
static inline bool cJSON_IsObject(const cJSON *v) { return cJSON_is(v, cJSON_Object); }
static inline char *cJSON_GetStringValue(const cJSON *v) { return cJSON_IsString(v) ? v->valuestring : NULL; }

int cJSON_GetArraySize(const cJSON *container);
cJSON *cJSON_GetArrayItem(const cJSON *container, int index);
cJSON *cJSON_GetObjectItem(const cJSON *object, const char *name); /* A to Z are as a to z */
cJSON *cJSON_GetObjectItemCaseSensitive(const cJSON *object, const char *name);
bool cJSON_Compare(const cJSON *a, const cJSON *b, bool case_sensitive); /* the same, whatever the order of names */

/* --- making and changing; NULL or false where there is no memory, and an item that was not added is still the caller's
 */
cJSON *cJSON_CreateNull(void);
cJSON *cJSON_CreateBool(bool value);
cJSON *cJSON_CreateNumber(double value);
cJSON *cJSON_CreateString(const char *value);
cJSON *cJSON_CreateArray(void);
cJSON *cJSON_CreateObject(void);
cJSON *cJSON_Duplicate(const cJSON *v, bool with_items);
void cJSON_Delete(cJSON *v); /* and all that follow it in its list */

bool cJSON_AddItemToArray(cJSON *array, cJSON *item);
bool cJSON_AddItemToObject(cJSON *object, const char *name, cJSON *item);
bool cJSON_AddItemToObjectCS(cJSON *object, const char *name, cJSON *item); /* the name is not copied */
cJSON *cJSON_AddBoolToObject(cJSON *object, const char *name, bool value);
cJSON *cJSON_AddNumberToObject(cJSON *object, const char *name, double value);
cJSON *cJSON_AddStringToObject(cJSON *object, const char *name, const char *value);
cJSON *cJSON_AddObjectToObject(cJSON *object, const char *name);
cJSON *cJSON_AddArrayToObject(cJSON *object, const char *name);

cJSON *cJSON_DetachItemViaPointer(cJSON *container, cJSON *item); /* NULL: it is not there */
cJSON *cJSON_DetachItemFromArray(cJSON *array, int index);
cJSON *cJSON_DetachItemFromObjectCaseSensitive(cJSON *object, const char *name);
void cJSON_DeleteItemFromObjectCaseSensitive(cJSON *object, const char *name);

#endif
