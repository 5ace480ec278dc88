/* The part "http": what it offers. */
#include "parts/http.h"

static const struct tend_http ops = {.check = http_check, .start = http_call_start, .cancel = http_call_cancel};

const struct tend_part *tend_part(void) {
  static bool ready;
  static struct tend_probe_kind kinds[2];
  static const struct tend_part part = {.abi = TEND_ABI, .name = "http", .kinds = kinds, .ops = &ops};
  if (!ready && curl_global_init(CURL_GLOBAL_ALL)) return NULL;
  ready = true;
  kinds[0] = http_probe_kind;
  return &part;
}
