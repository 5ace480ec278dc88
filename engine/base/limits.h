/* Every fixed bound of tend in one place. docs/operations.md lists them with what happens at each. */
#ifndef TEND_BASE_LIMITS_H
#define TEND_BASE_LIMITS_H

enum {
  LIMIT_INSTANCES = 1024,                 /* processes times instances of one plan */
  LIMIT_CHILDREN = 1536,                  /* children of init at once, helpers included */
  LIMIT_PROCESSES = 1024,                 /* processes of one plan */
  LIMIT_AFTER = 32,                       /* `after` names of one process */
  LIMIT_STOP_STEPS = 8,                   /* steps of one stop ladder */
  LIMIT_RULES = 32,                       /* restart rules of one process */
  LIMIT_DEPENDENCIES = 256,               /* dependency checks of one plan */
  LIMIT_CHECKS = 2048,                    /* health checks of one plan */
  LIMIT_REMEDIES = 64,                    /* remedies of one plan */
  LIMIT_REMEDY_STEPS = 16,                /* steps of one remedy, those of its escalation included */
  LIMIT_REMEDY_RUNS = 64,                 /* runs of one remedy in its window */
  LIMIT_REMEDY_PAST = 32,                 /* past runs of remedies that are kept */
  LIMIT_CLEANUPS = 256,                   /* cleanup handlers of one plan */
  LIMIT_HOOKS = 32,                       /* hooks of one point of the lifecycle */
  LIMIT_PATTERNS = 32,                    /* patterns of one cleanup handler */
  LIMIT_DIRECTORIES = 64,                 /* directories of one plan */
  LIMIT_NEEDS = 256,                      /* required settings of one plan */
  LIMIT_FLOW_SETTINGS = 256,              /* values that one flow gives to tend's own settings */
  LIMIT_ARGV = 4096,                      /* words of one command */
  LIMIT_ENV = 4096,                       /* variables that one process adds */
  LIMIT_WINDOW = 1024,                    /* restarts remembered in the window (highest max attempts) */
  LIMIT_NAME = 64,                        /* bytes of a name, terminator included */
  LIMIT_SWEEP = 8192,                     /* processes looked at in one sweep, the lowest pids first */
  LIMIT_KEPT = 64,                        /* descriptors kept by init */
  LIMIT_KEEP_MB = 32,                     /* memory for what a new engine must know, twice; used as far as needed */
  LIMIT_QUARANTINE = 32,                  /* functions of scripts that are not called again */
  LIMIT_LINE = 64 * 1024,                 /* output: a longer line keeps the stream */
  LIMIT_JSON_PART = 16 * 1024,            /* output json: longer lines go in parts */
  LIMIT_TAIL = 64 * 1024,                 /* last output kept of each process, bytes */
  LIMIT_HELPER_OUTPUT = 64 * 1024,        /* output kept of a helper */
  LIMIT_LOG_PIPE = 1024 * 1024,           /* engine's event lines on their way to init, bytes */
  LIMIT_EVENTS = 1000,                    /* events kept in memory */
  LIMIT_EVENT_LINE = 32 * 1024,           /* one event line, bytes */
  LIMIT_SPAWN_INLINE = 16 * 1024,         /* a larger one goes in a memfd of its own */
  LIMIT_SPAWN_BLOB = 8 * 1024 * 1024,     /* argv and environment of one spawn */
  LIMIT_FLOW_FILE = 1024 * 1024,          /* a flow file or script, bytes */
  LIMIT_JSON_FILE = 1024 * 1024,          /* a configuration file, bytes */
  LIMIT_JSON_DEPTH = 32,                  /* nesting of parsed JSON and of converted Lua values */
  LIMIT_SETTING_VALUE = 32 * 1024,        /* one setting's value, bytes */
  LIMIT_EVENT_DETAILS = 16 * 1024,        /* details of one event, bytes */
  LIMIT_JOURNAL = 1024 * 1024,            /* event lines on their way to events.jsonl, bytes */
  LIMIT_METRICS = 512,                    /* metric families */
  LIMIT_METRIC_SERIES = 1000,             /* label combinations of one family */
  LIMIT_METRIC_LABELS = 8,                /* labels of one family */
  LIMIT_METRIC_BUCKETS = 64,              /* buckets of one histogram */
  LIMIT_LABEL_VALUE = 256,                /* a label's value, bytes; longer ones are cut */
  LIMIT_CONTROL_FRAME = 256 * 1024,       /* one request on the control socket */
  LIMIT_CONTROL_REPLY = 32 * 1024 * 1024, /* one answer */
  LIMIT_CONTROL_STREAM = 256 * 1024,      /* parts waiting for a slow reader of a stream */
  LIMIT_CONTROL_ALL = 64 * 1024 * 1024,   /* answers and parts waiting for all clients together */
  LIMIT_CONTROL_CLIENTS = 64,             /* connections; where all are taken the longest idle one goes */
  LIMIT_CONTROL_PENDING = 16,             /* requests of one client at once */
  LIMIT_CONTROL_RATE = 200,               /* requests of one client a second */
  LIMIT_COMMANDS = 64,                    /* commands that scripts add (control.command) */
  LIMIT_COMMAND_ARGS = 16,                /* arguments of one command */
  LIMIT_TASKS = 16384,                    /* Lua tasks at once */
  LIMIT_WORD = 128 * 1024,                /* one word of a command and its NUL, in bytes: the kernel's bound */
  LIMIT_SETTINGS = 4096,                  /* members of the configuration file */
  LIMIT_WATCHED = 256,                    /* files and folders that are watched for changes */
  LIMIT_TIMERS = 4096,                    /* timers of one Lua generation that wait or run */
  LIMIT_NOTICES = 1000,                   /* notifications of PostgreSQL that one session of a script keeps */
  LIMIT_SPAWNED = 64,                     /* commands that a Lua generation has going on, or has not closed */
  LIMIT_CRON_JOBS = 256,                  /* cron jobs of one Lua generation */
  LIMIT_SCRIPT_STATE = 64 * 1024,         /* the table `state` of scripts, as JSON */
  LIMIT_LUA_MB = 64,                      /* memory of one Lua generation */
  LIMIT_SCRIPT_MB = 1024,                 /* memory of a `tend script` */
  LIMIT_READ = 16 * 1024 * 1024,          /* one read of a file by a script (in the engine: LIMIT_HELPER_OUTPUT) */
  LIMIT_LIST = 100000,                    /* entries of one directory listed for a script */
  LIMIT_HTTP_CONNECTIONS = 256,           /* clients of the HTTP server; a quarter of the descriptors at most */
  LIMIT_HTTP_PER_ADDRESS = 128,           /* of these from one address */
  LIMIT_HTTP_STREAMS = 64,                /* of these on /events */
  LIMIT_HTTP_HEAD = 8 * 1024,             /* request line and headers, bytes */
  LIMIT_REPL_OUTPUT = 64 * 1024 * 1024,   /* what one chunk of tend repl prints, bytes */
  LIMIT_REPL_CPU_S = 10,                  /* CPU of one chunk */
  LIMIT_REPL_S = 3600,                    /* one chunk, unless the client says less */
  LIMIT_REPL_ROOM_MB = 4,                 /* memory for a chunk of tend repl where the policies hold theirs */
  LIMIT_REPL_SESSIONS = 16,               /* prompts at once */
  LIMIT_TREE_DEPTH = 128,                 /* folders below a folder that is cleaned; deeper ones are left alone */
};

#endif
