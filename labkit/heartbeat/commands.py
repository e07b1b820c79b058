"""Heartbeat's and apache2's commands and paths inside a node, as the guide types them, and where a service of one's own
goes. Rank 1."""

HEARTBEAT_INIT = "/etc/init.d/heartbeat"
APACHE_INIT = "/etc/init.d/apache2"
RESOURCES = "/etc/ha.d/resource.d"  # where ResourceManager looks for a resource's script first
AGENTS = "/usr/lib/ocf/resource.d/heartbeat"  # whence hto-mapfuncs, which ships beside these scripts, takes OCF agents
HEARTBEAT_PROCESS = "heartbeat"  # the name of each of its processes, as pkill -x takes it
SEND_ARP = "send_arp"  # runs for 5 s beside a resource that has brought an address up, and announces it
HB_STANDBY = "/usr/share/heartbeat/hb_standby"
HB_TAKEOVER = "/usr/share/heartbeat/hb_takeover"

HA_CF = "/etc/ha.d/ha.cf"
HARESOURCES = "/etc/ha.d/haresources"
AUTHKEYS = "/etc/ha.d/authkeys"
SAMPLES = "/usr/share/doc/heartbeat"
WEB_ROOT = "/var/www/html"
INDEX_HTML = f"{WEB_ROOT}/index.html"
SYSLOG = "/var/log/syslog"

# The compiled-in wait of a freshly started pair before it acquires anything: RQSTDELAY, include/heartbeat.h of 3.0.6.
REQUEST_DELAY_MS = 10_000.0
# How often the daemon looks for dead nodes: heartbeat.c of 3.0.6.
DEATH_POLL_MS = 250.0
# How long a daemon that has just started asks its peer for more patience, deadtime + 2 s: heartbeat.c of 3.0.6.
YOUNG_MS = 5_000.0
