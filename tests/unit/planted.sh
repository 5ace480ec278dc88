#!/bin/bash
# Plants one bug after the other into copies of files of the core; their unit tests must turn red for each. Needs a build
# (BUILD, default build). Prints those that no test noticed and ends with 1 when there are any.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
machine=(test_machine test_machine_several test_machine_stop test_machine_scale test_restart test_machine_table test_machine_walk)
remedy=(test_remedy test_remedy_walk)
health=(test_check test_check_together)
scale=(test_scale)
flags=(-std=gnu11 -O1 -D_GNU_SOURCE -Iengine -Iinclude -Itests/unit)

# FILE|what sed makes of it
bugs() {
  cat <<'BUGS'
restart.c|s/EXPONENT_MAX = 5/EXPONENT_MAX = 6/
restart.c|s/return delay < c->max_ns ? delay : c->max_ns;/return delay;/
restart.c|s/>= c->max_attempts;/> c->max_attempts;/
restart.c|s/now_ns - r->ring\[r->head\] >= c->window_ns/now_ns - r->ring[r->head] > c->window_ns/
restart.c|s/  r->n++;//
restart.c|s/c->policy == RESTART_NO || simple ? VERDICT_FINAL/c->policy == RESTART_NO ? VERDICT_FINAL/
restart.c|s/mode == MODE_SERVER \&\& again \&\& !simple/again \&\& !simple/
restart.c|s/if (mode == MODE_DAEMON) return VERDICT_AGAIN;//
restart.c|s/signal <= 64 && (r->signals >> (signal - 1) & 1)/signal <= 64 \&\& (r->signals >> signal \& 1)/
restart.c|s/(r->exit\[code \/ 64\] >> (code % 64) & 1)/(r->exit[0] >> (code % 64) \& 1)/
restart.c|s/delay \/ 100 \* c->jitter_percent/delay \/ 10 * c->jitter_percent/
machine_stop.c|s/  if (killed) return 128 + SIGNAL_KILL;//
machine_stop.c|s/sweep(m, again ? SIGNAL_TERM : 0)/sweep(m, 0)/
shutdown.c|s/ && !single) return 0/) return 0/
shutdown.c|s/total_ns \/ 5/total_ns \/ 4/
shutdown.c|s/s->end_at_ns = now_ns + total_ns;/s->end_at_ns = now_ns + total_ns + NS_PER_S;/
shutdown.c|s/level == STOP_NOW ? now_ns : now_ns + STOP_SOON_NS/now_ns + STOP_SOON_NS/
machine.c|s/if (\*before > m->level\[i\]) continue;/if (*before) continue;/
machine.c|s/due = earlier(due, s->rest_ns);//
machine.c|s/m->goal == GOAL_NONE && !machine_main_live(m)) due/m->goal == GOAL_NONE) due/
machine.c|s/a->from = m->state;/a->from = to;/
machine_slot.c|s/if (s->rest_ns != TIME_NEVER) {/if (0) {/
machine_slot.c|s/if (m->now - since >= reset) s->restart.n = 0;//
machine_slot.c|s/if (reason == END_CLEAN) s->restart.n = 0;//
machine_slot.c|s/return again \&\& restart_exhausted/return 0 \&\& restart_exhausted/
machine_slot.c|s/error == ENOENT || error == ENOTDIR ? EXIT_NOT_FOUND/error == ENOTDIR ? EXIT_NOT_FOUND/
machine_slot.c|s/slot_process(m, s)->how->restart, s->spawn_fails++)/slot_process(m, s)->how->restart, s->spawn_fails)/
machine_slot.c|s/bool final = code || m->config->simple;/bool final = true;/
machine_slot.c|s/if (!up \&\& !gone \&\& !q->spare) return false;//
machine_slot.c|s/if (!slot_live(s) || s->state == INSTANCE_SPAWNING) return;//
machine_slot.c|s/    if (m->goal == GOAL_NONE) {/    if (true) {/
machine_slot.c|s/if (slot_live(s) || s->state == INSTANCE_INTERVAL || s->wanted) return;//
machine_slot.c|s/s->due_ns = m->now + delay;/s->due_ns = m->now + delay - 1;/
machine_slot.c|s/s->due_ns = m->now + p->how->interval_ns;/s->due_ns = m->now;/
machine_slot.c|s/if (in->oom \&\& signal) return END_OOM;//
machine_slot.c|s/if (why == WHY_OPERATOR) s->held = true;//
machine_slot.c|s/\.state != INSTANCE_DONE) return;/.state == INSTANCE_UP) return;/
machine_start.c|s/machine_act(m, ACT_CHECK_DEPENDENCIES)->on = m->only_bad;/machine_act(m, ACT_CHECK_DEPENDENCIES);/
machine_start.c|s/can_pass && !m->config->simple &&/can_pass \&\&/
machine_start.c|s/life(m)->restart.n = 0;//
machine_start.c|s/NS_PER_S + 1);/3 * NS_PER_S);/
machine_start.c|s/  if (m->waiting) machine_act(m, ACT_CANCEL_DEPENDENCIES);//
machine_start.c|s/if (!m->waiting || m->pass != PASS_VALIDATE) return;//
machine_start.c|s/s->last_reason != END_SYSTEM) s->by_dependency = true;/false) s->by_dependency = true;/
machine_start.c|s/in->stopped_mark \&\& m->main->how->restart.policy == RESTART_UNLESS_STOPPED/in->stopped_mark/
machine_start.c|s/if ((slot_live(s) \&\& s->state != INSTANCE_UP) || s->wanted) return false;//
machine_ladder.c|s/if (!silent) act_kill/act_kill/
machine_ladder.c|s/s->kill_ns <= m->now || share_is_over(m, s)/s->kill_ns <= m->now/
machine_ladder.c|s/  act_kill(m, s, SIGNAL_KILL, false);//
machine_ladder.c|s/->cont = true;/->cont = false;/
machine_ladder.c|s/s->sent |= /s->sent = 0 * /
machine_ladder.c|s/while (s->step_ns <= m->now)/while (s->step_ns < m->now)/
machine_stop.c|s/machine_slot_level(m, i) == lowest/true/
machine_stop.c|s/shutdown_gone_by(&m->shutdown) <= m->now/false/
machine_stop.c|s/  machine_cancel_wait(m);//
machine_stop.c|s/m->failed_code = code ? code : EXIT_FAILED;/m->failed_code = code;/
machine_stop.c|s/if (kill) m->forced = true;//
machine_stop.c|s/    if (!shutdown_hasten/    if (0 \&\& !shutdown_hasten/;s/  if (!shutdown_hasten(&m->shutdown, in->level, m->now)) return;/  return;/
machine_stop.c|s/return m->main->how->mode == MODE_SINGLE ? EXIT_TERMINATED : 0;/return 0;/
machine_stop.c|s/goal == GOAL_HOLD) m->held = true/goal == GOAL_HOLD) m->held = false/
machine_stop.c|s/(!m->hooks_running || m->phase_ns <= m->now) \&\& //
machine_stop.c|s/      if (over) finish(m);//
machine_stop.c|s/case PHASE_HOOKS:\n      return/&/;s/return hooks > m->drain_ns ? hooks : m->drain_ns;/return m->drain_ns;/
machine_operator.c|s/  remember(m, false);//
machine_operator.c|s/    s->restart.n = 0;//
machine_operator.c|s/  if (m->goal != GOAL_NONE) return;//
machine_remedy.c|s/if (m->goal != GOAL_NONE || in->process/if (in->process/
machine_remedy.c|s/if (s->why != WHY_OPERATOR) //
machine_remedy.c|s/      slot_stop(m, s, WHY_SCALE);//;s/  if (slot_live(s)) {/  if (0) {/
machine_remedy.c|s/WHY_NONE : WHY_RESTART/WHY_NONE : WHY_NONE/
machine_remedy.c|s/p->main || !in->count/!in->count/
machine_remedy.c|s/ || in->count > p->instances//
machine_remedy.c|s/  s->spare = true;//
machine_remedy.c|s/i >= in->count/i > in->count/
machine_slot.c|s/s->held || s->spare ||/s->held ||/
machine_slot.c|s/ \&\& !q->spare//
machine_slot.c|s/    case WHY_SCALE://
remedy.c|s/s->count < c->max) {/s->count <= c->max) {/
remedy.c|s/>= c->window_ns) s->escalated/> 0) s->escalated/
remedy.c|s/    s->over_ns = r->now;//
remedy.c|s/s->escalated < c->escalations) {/s->escalated <= c->escalations) {/
remedy.c|s/s->ready_ns = r->now + config_of(r, s)->cooldown_ns;/s->ready_ns = r->now;/
remedy.c|s/if (!s->dry || !s->by_operator) s->ready_ns/s->ready_ns/
remedy.c|s/ \&\& check->failures \&\& check->busy == REMEDY_NONE) return c->check/ \&\& check->failures) return c->check/
remedy.c|s/if (bad \&\& check->failures \&\&/if (bad \&\&/
remedy.c|s/check->failures >= c->failures :/check->failures > c->failures :/
remedy.c|s/: check->unhealthy;/: true;/
remedy.c|s/if (!r->active || r->maintenance) return;/if (!r->active) return;/
remedy.c|s/if (!r->active || r->maintenance) return;/if (r->maintenance) return;/
remedy.c|s/  if (!c->failures \&\& !c->pending) c->since_ns = r->now;/  c->since_ns = r->now;/
remedy.c|s/  if (c->steps) {/  if (true) {/
remedy.c|s/REMEDY_HEALED_RESULT || !c->failures/REMEDY_HEALED_RESULT/
remedy.c|s/      c->busy = REMEDY_NONE;//;s/    c->busy = REMEDY_NONE;//
remedy.c|s/  hold(r, s, false);//
remedy.c|s/  } else if (step->settle_ns > 0) {/  } else if (false) {/
remedy.c|s/!done || s->check == REMEDY_NONE/s->check == REMEDY_NONE/
remedy.c|s/done \&\& step->final \&\& outcome/false \&\& outcome/
remedy.c|s/end_run(r, s, REMEDY_UNKNOWN_RESULT);/s->step++, begin_step(r, s);/
remedy.c|s/ || s->by_operator) continue;/) continue;/
remedy.c|s/ || s->held == on) return;/) return;/
remedy.c|s/c->failures >= config_of(r, s)->step/c->failures > config_of(r, s)->step/
remedy.c|s/  if (s) on_answer(r, s, REMEDY_GOOD);//
remedy.c|s/  c->pending = true;//
remedy.c|s/!c->failures \&\& !c->pending) c->since/!c->failures) c->since/
remedy.c|s/r->now + r->config->watch_ns;/r->now + r->config->answer_ns;/
remedy.c|s/s \&\& s->phase == PHASE_WATCH ? s : NULL/s/
remedy.c|s/if (s->phase != PHASE_STEP) end_run/if (true) end_run/
remedy.c|s/(one ? in->step + 1U : c->steps)/(one ? in->step + 1U : c->steps + c->escalations)/
remedy.c|s/  if (s->phase == PHASE_STEP) act_of(r, s, REMEDY_ACT_CANCEL)/  if (false) act_of(r, s, REMEDY_ACT_CANCEL)/
remedy.c|s/r->maintenance_until_ns <= r->now/r->maintenance_until_ns < r->now/
remedy.c|s/        end_step(r, s, REMEDY_TIMEOUT);/        end_run(r, s, REMEDY_FAILED_RESULT);/
remedy.c|s/s->gave_up \&\& room > s->ready_ns ? room/s->gave_up ? TIME_NEVER/
check.c|s/c->failures >= s->failures;/c->failures > s->failures;/
check.c|s/(c->window \& mask) >= s->failures/(c->window \& mask) > s->failures/
check.c|s/__builtin_popcountll(c->window & mask)/__builtin_popcountll(c->window)/
check.c|s/if (!settled \&\& c->successes < s->successes) return;//
check.c|s/if (c->state == CHECK_UNHEALTHY) c->window = 0;//
check.c|s/  c->window <<= 1;//
check.c|s/c->state = r == CHECK_WARN ? CHECK_DEGRADED : CHECK_HEALTHY;/c->state = CHECK_HEALTHY;/
check.c|s/  c->successes = 0;//
check.c|s/if (!c->failing_ns) c->failing_ns = now_ns;/c->failing_ns = now_ns;/
check.c|s/!c->alarm \&\& s->unknowns \&\& //
check.c|s/    c->unknowns = 0;//
check.c|s/    if (c->alarm) out->alarm = -1;//
check.c|s/    c->alarm = false;//
check.c|s/out->turned = told != c->told;/out->turned = true;/
check.c|s/if (out->from != out->to) c->since_ns = now_ns;/c->since_ns = now_ns;/
check.c|s/    c->failing_ns = 0;//
check.c|s/c->failures = c->successes = c->unknowns = 0;/c->successes = c->unknowns = 0;/
check.c|s/return c->due_ns > c->hold_ns ? c->due_ns : c->hold_ns;/return c->due_ns;/
check.c|s/if (held \&\& !c->hold_ns \&\& /if (0 \&\& /
check.c|s/if (c->due_ns < now_ns) c->due_ns = now_ns;//
check.c|s/  c->spread_done = true;//
check.c|s/s->role != CHECK_STARTUP \&\& s->role != CHECK_READINESS/true/
check.c|s/c->due_ns = now_ns + s->initial_delay_ns;/c->due_ns = now_ns;/
check.c|s/return c->state == CHECK_UNHEALTHY ? c->successes > 0 : c->failures > 0;/return false;/
check.c|s/c->state == CHECK_UNHEALTHY \&\& s->down_interval_ns/s->down_interval_ns/
check.c|s/return c->role == CHECK_MONITOR ? HEALTH_DEGRADED : HEALTH_UNHEALTHY;/return HEALTH_UNHEALTHY;/
check.c|s/if (check_level(c) > out->level) out->level = check_level(c);/out->level = check_level(c);/
check.c|s/return c->state != CHECK_UNHEALTHY;/return true;/
check.c|s/weight(out->reasons\[at - 1\]) < w/weight(out->reasons[at - 1]) > w/
check.c|s/ \* 16777619U;/;/
history.c|s/(shift + 1) << MANTISSA_BITS/shift << MANTISSA_BITS/
history.c|s/if (h->n < HISTORY_RUNS) h->n++;/h->n++;/
history.c|s/  h->last_ns = at_ns;//
history.c|s/if (shift >= EXPONENT_MAX)/if (0)/
check.c|s/(c->state == CHECK_HEALTHY || c->state == CHECK_DEGRADED) \&\& !c->failures/true/
check.c|s/(double)(c->due_ns - now_ns) \* factor/(double)(c->due_ns - now_ns)/
scale.c|s/  if (isnan(wanted)) return count;//
scale.c|s/ceil(wanted)/wanted/
scale.c|s/up < rule->min ? rule->min :/up < rule->min ? count :/
scale.c|s/more \&\& !s->changed;/!s->changed;/
scale.c|s/more \&\& !s->changed;/more;/
scale.c|s/s->since_ns < rest/s->since_ns <= rest/
scale.c|s/more ? rule->cooldown_ns : rule->down_cooldown_ns/rule->cooldown_ns/
scale.c|s/target = count + rule->step;/;/
scale.c|s/target = count - rule->step;/;/
scale.c|s/  s->since_ns = now_ns;//
BUGS
}

for t in "${machine[@]}" "${remedy[@]}" "${health[@]}" "${scale[@]}"; do gcc "${flags[@]}" -c -o "$dir/$t.o" "tests/unit/$t.c" & done
wait
grep -q . <<<"$(ls "$dir"/*.o)"

plant() { # NUMBER FILE SED: says so when no test noticed
  local me=$dir/$1
  sed "$3" "engine/core/$2" >"$me.c"
  if cmp -s "$me.c" "engine/core/$2"; then echo "planted: changes nothing: $2 $3"; return; fi
  gcc "${flags[@]}" -w -c -o "$me.o" "$me.c" || { echo "planted: does not compile: $2 $3"; return; }
  local -n tests=machine
  case $2 in remedy*) local -n tests=remedy ;; scale*) local -n tests=scale ;; check* | history*) local -n tests=health ;; esac
  for t in "${tests[@]}"; do
    gcc -o "$me" "$dir/$t.o" "$me.o" "$build/libtend.a" -lcmocka -lcjson
    timeout 20 "$me" >/dev/null 2>&1 || return 0
  done
  echo "planted: no test noticed: $2 $3"
}

n=0 running=0
while IFS='|' read -r file how; do
  n=$((n + 1))
  plant $n "$file" "$how" >>"$dir/said" &
  running=$((running + 1))
  [ $((running % 3)) != 0 ] || wait
done < <(bugs)
wait
cat "$dir/said"
echo "$n bugs planted, $(wc -l <"$dir/said") unnoticed"
[ ! -s "$dir/said" ]
