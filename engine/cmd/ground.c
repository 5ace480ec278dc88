#include "cmd/ground.h"

#include <errno.h>

int ground_open(struct ground *g, int channel_fd, struct err *err) {
  g->loop = loop_new();
  if (!g->loop) return err_set(err, -ENOMEM, "no event loop: epoll or memory is missing");
  g->children = children_new(g->loop, channel_fd);
  g->metrics = metrics_new();
  return g->children && g->metrics ? 0 : err_set(err, -ENOMEM, "out of memory");
}

int ground_open_log(struct ground *g, const struct load *load, int log_fd, struct err *err) {
  const struct sink_options options = load_sink_options(load, log_fd);
  g->sink = sink_new(g->loop, &options);
  if (!g->sink) return err_set(err, -ENOMEM, "out of memory");
  sink_configure(g->sink, &options, load->settings);
  g->probes = (struct probe_env){.loop = g->loop, .children = g->children, .sink = g->sink, .settings = load->settings};
  probe_env_init(&g->probes);
  return 0;
}

void ground_configure_log(struct ground *g, const struct load *load, int log_fd) {
  const struct sink_options options = load_sink_options(load, log_fd);
  sink_configure(g->sink, &options, load->settings);
}

struct vm_host ground_host(struct ground *g) {
  return (struct vm_host){
      .loop = g->loop, .sink = g->sink, .probes = &g->probes, .children = g->children, .metrics = g->metrics};
}

void ground_close(struct ground *g) {
  sink_free(g->sink);
  probe_env_close(&g->probes);
  children_free(g->children);
  metrics_free(g->metrics);
  loop_free(g->loop);
}
