/* The run before, where it had no end of its own: everything was killed at once (kill -9, memory.oom.group, the
 * machine's end), so that nobody could say why. A run leaves a word in the state directory and takes it away at its
 * end; who finds one tells of it.
 */
#include "base/clock.h"
#include "supervisor/impl.h"

void supervisor_find_previous(struct supervisor *s) {
  auto_json cJSON *run = NULL;
  if (s->state.fd < 0) return;
  state_read_run(&s->state, &s->previous_run);
  if (!s->previous_run.len) return;
  if (json_parse(s->previous_run.data, s->previous_run.len, "run", &run, NULL) || !cJSON_IsObject(run)) {
    buf_clear(&s->previous_run); /* cut short by what killed it */
    buf_str(&s->previous_run, "{}");
  }
  const char *started = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(run, "started"));
  bool together = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(run, "oom_group"));
  auto_buf struct buf message = {0};
  buf_fmt(&message, "the run before%s%s had no end of its own: it was killed as a whole%s", started ? ", begun " : "",
          started ? started : "", together ? ", perhaps for want of memory (memory.oom.group is 1)" : "");
  sink_emit(s->o.sink, EVENT_PREVIOUS_RUN,
            &(struct sink_event){
                .level = LEVEL_WARNING, .message = buf_cstr(&message), .details = buf_cstr(&s->previous_run)});
}

void supervisor_note_run(struct supervisor *s) {
  const struct usage *usage = meter_look(&s->o.probes->meter, clock_mono_ns());
  if (usage->oom_group)
    sink_say(
        s->o.sink, EVENT_NOTICE, LEVEL_INFO,
        "memory.oom.group is 1: when memory runs out, the kernel kills this container as a whole, tend too; the next "
        "start tells of it as previous_run");
  if (s->state.fd < 0) return;
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(&text);
  struct err err = ERR_INIT;
  json_object(&j, NULL);
  report_time_json(s->begun_real_ns, &j, "started");
  json_int(&j, "pid", s->o.pid);
  json_bool(&j, "oom_group", usage->oom_group);
  json_object_end(&j);
  if (state_write_run(&s->state, buf_cstr(&text), &err))
    sink_say(s->o.sink, EVENT_NOTICE, LEVEL_WARNING, "the next start will not know of this run: %s", err.msg);
  s->run_forgotten = false;
}

void supervisor_forget_run(struct supervisor *s) {
  if (s->state.fd >= 0 && !s->run_forgotten) state_write_run(&s->state, NULL, NULL);
  s->run_forgotten = true;
}
