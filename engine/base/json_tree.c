#include "base/json_tree.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- items ------------------------------------------------------------------------------------------------------- */

static cJSON *new_item(int type) {
  cJSON *v = calloc(1, sizeof *v);
  if (v) v->type = type;
  return v;
}

static void set_number(cJSON *v, double value) {
  v->valuedouble = value;
  v->valueint = value >= INT_MAX ? INT_MAX : value <= INT_MIN ? INT_MIN : value == value ? (int)value : 0;
}

cJSON *cJSON_CreateNull(void) { return new_item(cJSON_NULL); }
cJSON *cJSON_CreateBool(bool value) { return new_item(value ? cJSON_True : cJSON_False); }
cJSON *cJSON_CreateArray(void) { return new_item(cJSON_Array); }
cJSON *cJSON_CreateObject(void) { return new_item(cJSON_Object); }

cJSON *cJSON_CreateNumber(double value) {
  cJSON *v = new_item(cJSON_Number);
  if (v) set_number(v, value);
  return v;
}

cJSON *cJSON_CreateString(const char *value) {
  cJSON *v = value ? new_item(cJSON_String) : NULL;
  if (v && !(v->valuestring = strdup(value))) {
    free(v);
    return NULL;
  }
  return v;
}

static void free_name(cJSON *v) {
  if (!(v->type & cJSON_StringIsConst)) free(v->string);
  v->type &= ~cJSON_StringIsConst;
  v->string = NULL;
}

void cJSON_Delete(cJSON *v) {
  for (cJSON *next; v; v = next) {
    next = v->next;
    cJSON_Delete(v->child);
    free(v->valuestring);
    free_name(v);
    free(v);
  }
}

static void append(cJSON *container, cJSON *item) {
  cJSON *first = container->child;
  item->next = NULL;
  if (!first) {
    container->child = item->prev = item;
    return;
  }
  item->prev = first->prev;
  first->prev->next = item;
  first->prev = item;
}

bool cJSON_AddItemToArray(cJSON *array, cJSON *item) {
  if (!array || !item || array == item) return false;
  append(array, item);
  return true;
}

bool cJSON_AddItemToObjectCS(cJSON *object, const char *name, cJSON *item) {
  if (!object || !item || object == item || !name) return false;
  free_name(item);
  item->string = (char *)name;
  item->type |= cJSON_StringIsConst;
  append(object, item);
  return true;
}

bool cJSON_AddItemToObject(cJSON *object, const char *name, cJSON *item) {
  char *own = object && item && object != item && name ? strdup(name) : NULL;
  if (!own) return false;
  free_name(item);
  item->string = own;
  append(object, item);
  return true;
}

static cJSON *added(cJSON *object, const char *name, cJSON *item) {
  if (cJSON_AddItemToObject(object, name, item)) return item;
  cJSON_Delete(item);
  return NULL;
}

cJSON *cJSON_AddBoolToObject(cJSON *object, const char *name, bool value) {
  return added(object, name, cJSON_CreateBool(value));
}
cJSON *cJSON_AddNumberToObject(cJSON *object, const char *name, double value) {
  return added(object, name, cJSON_CreateNumber(value));
}
cJSON *cJSON_AddStringToObject(cJSON *object, const char *name, const char *value) {
  return added(object, name, cJSON_CreateString(value));
}
cJSON *cJSON_AddObjectToObject(cJSON *object, const char *name) { return added(object, name, cJSON_CreateObject()); }
cJSON *cJSON_AddArrayToObject(cJSON *object, const char *name) { return added(object, name, cJSON_CreateArray()); }

cJSON *cJSON_DetachItemViaPointer(cJSON *container, cJSON *item) {
  if (!container || !item) return NULL;
  cJSON *first = container->child;
  if (item == first)
    container->child = item->next;
  else
    item->prev->next = item->next;
  if (item->next)
    item->next->prev = item->prev; /* of a first one that goes: the last */
  else if (item != first)
    first->prev = item->prev;
  item->next = item->prev = NULL;
  return item;
}

cJSON *cJSON_DetachItemFromArray(cJSON *array, int index) {
  return cJSON_DetachItemViaPointer(array, cJSON_GetArrayItem(array, index));
}
cJSON *cJSON_DetachItemFromObjectCaseSensitive(cJSON *object, const char *name) {
  return cJSON_DetachItemViaPointer(object, cJSON_GetObjectItemCaseSensitive(object, name));
}
void cJSON_DeleteItemFromObjectCaseSensitive(cJSON *object, const char *name) {
  cJSON_Delete(cJSON_DetachItemFromObjectCaseSensitive(object, name));
}

cJSON *cJSON_Duplicate(const cJSON *v, bool with_items) {
  cJSON *copy = v ? malloc(sizeof *copy) : NULL;
  if (!copy) return NULL;
  *copy = *v;
  copy->next = copy->prev = copy->child = NULL;
  bool own_name = v->string && !(v->type & cJSON_StringIsConst);
  copy->valuestring = v->valuestring ? strdup(v->valuestring) : NULL;
  if (own_name) copy->string = strdup(v->string);
  bool whole = (!v->valuestring || copy->valuestring) && (!own_name || copy->string);
  for (const cJSON *item = with_items ? v->child : NULL; item && whole; item = item->next)
    whole = cJSON_AddItemToArray(copy, cJSON_Duplicate(item, true));
  if (whole) return copy;
  cJSON_Delete(copy);
  return NULL;
}

/* --- looking ----------------------------------------------------------------------------------------------------- */

int cJSON_GetArraySize(const cJSON *container) {
  int n = 0;
  const cJSON *item;
  cJSON_ArrayForEach(item, container) n++;
  return n;
}

cJSON *cJSON_GetArrayItem(const cJSON *container, int index) {
  cJSON *item = container && index >= 0 ? container->child : NULL;
  while (item && index-- > 0) item = item->next;
  return item;
}

cJSON *cJSON_GetObjectItem(const cJSON *object, const char *name) {
  cJSON *item = object && name ? object->child : NULL;
  while (item && !(item->string && strcasecmp(item->string, name) == 0)) item = item->next;
  return item;
}

cJSON *cJSON_GetObjectItemCaseSensitive(const cJSON *object, const char *name) {
  cJSON *item = object && name ? object->child : NULL;
  while (item && !(item->string && strcmp(item->string, name) == 0)) item = item->next;
  return item;
}

static bool same_numbers(double a, double b) { return a == b || (a != a && b != b); }

static bool holds_all(const cJSON *a, const cJSON *b, bool case_sensitive) {
  const cJSON *item;
  cJSON_ArrayForEach(item, a) {
    const cJSON *other =
        case_sensitive ? cJSON_GetObjectItemCaseSensitive(b, item->string) : cJSON_GetObjectItem(b, item->string);
    if (!cJSON_Compare(item, other, case_sensitive)) return false;
  }
  return true;
}

bool cJSON_Compare(const cJSON *a, const cJSON *b, bool case_sensitive) {
  if (!a || !b || (a->type ^ b->type) & ~cJSON_StringIsConst) return false;
  if (cJSON_IsNumber(a)) return same_numbers(a->valuedouble, b->valuedouble);
  if (cJSON_IsString(a)) return a->valuestring && b->valuestring && strcmp(a->valuestring, b->valuestring) == 0;
  if (cJSON_IsObject(a)) return holds_all(a, b, case_sensitive) && holds_all(b, a, case_sensitive);
  const cJSON *x = a->child, *y = b->child;
  for (; x && y; x = x->next, y = y->next)
    if (!cJSON_Compare(x, y, case_sensitive)) return false;
  return x == y;
}
