/*
 * The client's measuring agent: open-loop HTTP probe, ARP watcher and the run's clock, in one process.
 *
 * The image's build makes it (see provision); the driver starts it in the client. It speaks JSON Lines: events on
 * standard output, commands on standard input. Every instant is CLOCK_MONOTONIC in nanoseconds (*_ns), which all
 * containers of one engine share, so its stamps can be set beside those taken in the nodes.
 *
 * Twenty of them may share a machine with what they measure, hence C, and hence one turn of the loop for each slot: it
 * asks, and reads what came since the last one. The kernel has stamped that when it came, so nothing is lost by reading
 * late. Events are told in batches for the same reason.
 *
 * Events
 *     {"event": "clock", "id": str, "t_ns": int, "wall_ns": int}    answer to "stamp", and now and then unasked
 *     {"event": "request", "slot": int, "t_ns": int, "late_us": int, "took_us": int, "server": str|null,
 *      "outcome": "good|timeout|refused|reset|unreachable|http-error|wrong-page", "status": int|null}
 *         t_ns is the scheduled instant, late_us how much later the request really started, took_us runs from t_ns.
 *     {"event": "arp", "t_ns": int, "mac": str, "kind": "reply|gratuitous"}    somebody says that he has the VIP
 *     {"event": "arp-probe", "t_ns": int}                                        the question was asked
 *     {"event": "cpu", "t_ns": int, "idle_ms": int, "steal_ms": int, "all_ms": int, "waited_us": int|null}
 *         the engine's host since its boot, five times a second and before each stamp: CPU time that nobody used, that
 *         its own host took away, and all of it; and for how long some task had to wait for a CPU (PSI), null where the
 *         kernel has none
 *     {"event": "end", "t_ns": int, "requests": int}
 *
 * Commands
 *     stamp ID        print a clock event at once
 *     rest            ask nothing more, and let the slots pass
 *     work            go on asking; it does so from the beginning
 *     quit            leave; requests that are still open are not reported
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define MILLISECOND 1000000LL
#define CLOCK_EVERY_NS SECOND
#define CPU_EVERY_NS (200 * MILLISECOND)
#define TELL_EVERY_NS (200 * MILLISECOND)
#define LOOK_EVERY_NS (10 * MILLISECOND) /* for answers, where the slots are further apart */
#define BURST 50 /* requests at once, after a stall, before answers are read again */
#define FAR_AWAY INT64_MAX
#define LONGEST_ANSWER 65536
#define LONGEST_LINE 512
#define ETHER_ARP_SIZE 42

static int64_t read_clock(clockid_t which)
{
    struct timespec at;
    clock_gettime(which, &at);
    return at.tv_sec * SECOND + at.tv_nsec;
}

static int64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t earlier(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

static void *enough(void *memory)
{
    if (memory == NULL)
        err(1, "memory");
    return memory;
}

/* -- output: some lines at a time; what costs is the way of each piece through the engine -------------------------- */

static char told[65536];
static size_t told_size;
static int64_t tell_at_ns;

static void flush(void)
{
    for (size_t at = 0; at < told_size;) {
        ssize_t written = write(STDOUT_FILENO, told + at, told_size - at);
        if (written < 0 && errno != EINTR)
            err(1, "standard output");
        at += written > 0 ? (size_t)written : 0;
    }
    told_size = 0;
    tell_at_ns = now_ns() + TELL_EVERY_NS;
}

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
    if (sizeof told - told_size < LONGEST_LINE)
        flush();
    va_list values;
    va_start(values, format);
    int size = vsnprintf(told + told_size, LONGEST_LINE, format, values);
    va_end(values);
    if (size < 0 || size >= LONGEST_LINE)
        errx(1, "an event that is no line: %.60s", told + told_size);
    told_size += (size_t)size;
}

/* Both clocks, read back to back: log lines carry wall time and are brought to the monotonic clock by this pair. */
static void tell_clock(const char *id)
{
    int64_t before = now_ns(), wall = read_clock(CLOCK_REALTIME), after = now_ns();
    tell("{\"event\":\"clock\",\"id\":\"%s\",\"t_ns\":%lld,\"wall_ns\":%lld}\n", id, (long long)((before + after) / 2),
         (long long)wall);
}

/* -- receiving ----------------------------------------------------------------------------------------------------- */

/*
 * What a socket has, and when it came, brought to CLOCK_MONOTONIC; now, where the kernel has not stamped it. As recv()
 * returns.
 */
static ssize_t receive(int sock, void *into, size_t most, int64_t *came_ns)
{
    struct iovec piece = {into, most};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct timespec))];
    } more;
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &more, .msg_controllen = sizeof more};
    ssize_t size = recvmsg(sock, &message, 0);
    *came_ns = now_ns();
    if (size <= 0)
        return size;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(&message); one != NULL; one = CMSG_NXTHDR(&message, one)) {
        if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        struct timespec at;
        memcpy(&at, CMSG_DATA(one), sizeof at);
        int64_t ago_ns = read_clock(CLOCK_REALTIME) - (at.tv_sec * SECOND + at.tv_nsec);
        *came_ns -= ago_ns > 0 ? ago_ns : 0;
    }
    return size;
}

static void want_stamps(int sock)
{
    int yes = 1;
    setsockopt(sock, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
}

/* -- the probe: a request in each slot of a fixed schedule, whether or not the earlier ones were answered ---------- */

/* A node, and what is on its page. */
struct marker {
    const char *node;
    const char *text;
};

/* One GET on a connection of its own. came_ns: when the last piece of its answer did. */
struct request {
    int64_t slot, due_ns, deadline_ns, came_ns, late_us;
    int sock;
    bool asked;
    size_t size;
    char *answer;
};

static struct {
    struct sockaddr_in target;
    char question[LONGEST_LINE];
    size_t question_size;
    int64_t cadence_ns, limit_ns;
    struct marker *markers;
    size_t marker_count;
    struct request *open; /* in the order in which they were started, and so in that of their deadlines */
    size_t open_count, room;
    int64_t slot, due_ns; /* the next one */
} probe;

static const char *name_of(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "refused";
    case ECONNRESET:
    case EPIPE:
        return "reset";
    case ETIMEDOUT:
        return "timeout";
    default:
        return "unreachable";
    }
}

/* Tells how a request ended, and forgets it. came_ns: when, 0 for now. server, status: NULL and 0 if there is none. */
static void finish(size_t index, const char *outcome, int64_t came_ns, const char *server, int status)
{
    struct request *request = &probe.open[index];
    int64_t took_us = ((came_ns ? came_ns : now_ns()) - request->due_ns) / 1000;
    if (took_us < request->late_us)
        took_us = request->late_us;
    const char *quote = server ? "\"" : "";
    char code[12] = "null";
    if (status)
        snprintf(code, sizeof code, "%d", status);
    tell("{\"event\":\"request\",\"slot\":%lld,\"t_ns\":%lld,\"late_us\":%lld,\"took_us\":%lld,\"outcome\":\"%s\","
         "\"server\":%s%s%s,\"status\":%s}\n",
         (long long)request->slot, (long long)request->due_ns, (long long)request->late_us, (long long)took_us, outcome,
         quote, server ? server : "null", quote, code);
    close(request->sock);
    free(request->answer);
    probe.open_count--;
    memmove(request, request + 1, (probe.open_count - index) * sizeof *request);
}

/* Sends the question, if the connection is there. False if that ended the request. */
static bool ask(size_t index)
{
    struct request *request = &probe.open[index];
    if (send(request->sock, probe.question, probe.question_size, MSG_NOSIGNAL) >= 0)
        request->asked = true;
    else if (errno != EAGAIN) {
        finish(index, name_of(errno), 0, NULL, 0);
        return false;
    }
    return true;
}

static void start(int64_t slot, int64_t due_ns, int64_t now)
{
    if (now - due_ns >= probe.limit_ns)
        return; /* after a stall of our own: nothing was asked, so nothing is told; the gap in the slots shows it */
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sock < 0)
        err(1, "a socket for a request");
    struct linger at_once = {1, 0}; /* closing leaves nothing behind */
    setsockopt(sock, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    want_stamps(sock);
    if (probe.open_count == probe.room) {
        probe.room = 2 * probe.room + 16;
        probe.open = enough(realloc(probe.open, probe.room * sizeof *probe.open));
    }
    size_t index = probe.open_count++;
    probe.open[index] = (struct request){.slot = slot,
                                         .due_ns = due_ns,
                                         .deadline_ns = due_ns + probe.limit_ns,
                                         .late_us = (now - due_ns) / 1000,
                                         .sock = sock};
    if (connect(sock, (struct sockaddr *)&probe.target, sizeof probe.target) < 0 && errno != EINPROGRESS)
        finish(index, name_of(errno), 0, NULL, 0);
    else
        ask(index); /* nobody is far away: the connection is often there already */
}

static void start_due(void)
{
    for (int started = 0; started < BURST; started++) {
        int64_t now = now_ns();
        if (probe.due_ns > now)
            return;
        start(probe.slot, probe.due_ns, now);
        probe.slot++;
        probe.due_ns += probe.cadence_ns;
    }
}

static void skip_due(void)
{
    int64_t late_ns = now_ns() - probe.due_ns;
    if (late_ns < 0)
        return;
    int64_t slots = late_ns / probe.cadence_ns + 1;
    probe.slot += slots;
    probe.due_ns += slots * probe.cadence_ns;
}

/* The code of an answer's first line, "HTTP/1.1 200 OK"; 0 if it has none. */
static int status_of(const char *answer)
{
    const char *at = answer;
    while (isblank((unsigned char)*at))
        at++;
    const char *word = at;
    while (*at && !isspace((unsigned char)*at))
        at++;
    if (at == word)
        return 0;
    while (isblank((unsigned char)*at))
        at++;
    int code = 0, digits = 0;
    for (; isdigit((unsigned char)*at) && digits < 6; at++, digits++)
        code = 10 * code + *at - '0';
    return digits && (*at == '\0' || isspace((unsigned char)*at)) ? code : 0;
}

/* The whole answer is here: who sent it, and is it the page? */
static void judge(size_t index)
{
    struct request *request = &probe.open[index];
    if (request->came_ns > request->deadline_ns) {
        finish(index, "timeout", request->came_ns, NULL, 0);
        return;
    }
    int status = request->answer ? status_of(request->answer) : 0;
    const char *server = NULL;
    for (size_t at = 0; status && !server && at < probe.marker_count; at++)
        if (memmem(request->answer, request->size, probe.markers[at].text, strlen(probe.markers[at].text)))
            server = probe.markers[at].node;
    if (!status)
        finish(index, "reset", 0, NULL, 0);
    else if (status >= 400)
        finish(index, "http-error", request->came_ns, NULL, status);
    else
        finish(index, server ? "good" : "wrong-page", request->came_ns, server, status);
}

/* What has come of an answer. False if that ended the request. */
static bool read_answer(size_t index)
{
    static char piece[LONGEST_ANSWER];
    struct request *request = &probe.open[index];
    int64_t came_ns;
    ssize_t size = 0;
    while (request->size < LONGEST_ANSWER && (size = receive(request->sock, piece, sizeof piece, &came_ns)) > 0) {
        request->answer = enough(realloc(request->answer, request->size + (size_t)size + 1));
        memcpy(request->answer + request->size, piece, (size_t)size);
        request->size += (size_t)size;
        request->answer[request->size] = '\0';
        request->came_ns = came_ns;
    }
    if (size < 0 && errno == EAGAIN)
        return true;
    if (size < 0)
        finish(index, name_of(errno), 0, NULL, 0);
    else
        judge(index);
    return false;
}

static void read_answers(void)
{
    for (size_t index = 0; index < probe.open_count;)
        index += !probe.open[index].asked || read_answer(index);
}

static void expire(void)
{
    int64_t now = now_ns();
    while (probe.open_count && probe.open[0].deadline_ns <= now)
        finish(0, "timeout", 0, NULL, 0);
}

/* -- the ARP watcher: asks who has the VIP on a fixed schedule and reports every answer, asked for or not ---------- */

/*
 * It asks as RFC 5227 has it, without an address of its own, on a link that the probe does not use: the kernel learns
 * from each answer that comes in on a link, and two owners' answers would lead the probe now to one, now to the other.
 */
static struct {
    int sock; /* -1: nobody is watched */
    int64_t every_ns, due_ns;
    unsigned char question[ETHER_ARP_SIZE];
} arp = {.sock = -1, .due_ns = FAR_AWAY};

/* Where things stand in a frame. */
enum { FRAME_FROM = 6, FRAME_KIND = 12, ARP_HEAD = 14, ARP_SENDER = 22, ARP_SENDER_IP = 28, ARP_TARGET_IP = 38 };

static void watch(const char *interface, int64_t every_ns, int64_t start_ns)
{
    arp.sock = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETHERTYPE_ARP));
    struct sockaddr_ll where = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_ARP), .sll_ifindex = (int)if_nametoindex(interface)};
    socklen_t size = sizeof where;
    if (arp.sock < 0 || !where.sll_ifindex || bind(arp.sock, (struct sockaddr *)&where, size) < 0 ||
        getsockname(arp.sock, (struct sockaddr *)&where, &size) < 0)
        err(1, "watching %s", interface);
    want_stamps(arp.sock);
    arp.every_ns = every_ns;
    arp.due_ns = start_ns;
    static const unsigned char kind[] = {8, 6}, head[] = {0, 1, 8, 0, 6, 4, 0, 1}; /* Ethernet, IPv4, a question */
    memset(arp.question, 0xff, FRAME_FROM);
    memcpy(arp.question + FRAME_FROM, where.sll_addr, ETH_ALEN);
    memcpy(arp.question + FRAME_KIND, kind, sizeof kind);
    memcpy(arp.question + ARP_HEAD, head, sizeof head);
    memcpy(arp.question + ARP_SENDER, where.sll_addr, ETH_ALEN);
    memcpy(arp.question + ARP_TARGET_IP, &probe.target.sin_addr, sizeof probe.target.sin_addr);
}

static void ask_arp_due(void)
{
    int64_t now = now_ns();
    if (arp.due_ns > now)
        return;
    arp.due_ns += arp.every_ns * ((now - arp.due_ns) / arp.every_ns + 1);
    if (send(arp.sock, arp.question, sizeof arp.question, 0) >= 0) /* else the link is down: nobody is asked */
        tell("{\"event\":\"arp-probe\",\"t_ns\":%lld}\n", (long long)now);
}

static void read_arp(void)
{
    unsigned char frame[128];
    int64_t came_ns;
    ssize_t size;
    while ((size = receive(arp.sock, frame, sizeof frame, &came_ns)) >= 0) {
        const unsigned char *mac = frame + ARP_SENDER;
        const struct in_addr *vip = &probe.target.sin_addr;
        if (size < ETHER_ARP_SIZE || memcmp(frame + ARP_SENDER_IP, vip, sizeof *vip) != 0 ||
            memcmp(mac, arp.question + ARP_SENDER, ETH_ALEN) == 0)
            continue; /* somebody else's address, or our own question */
        bool gratuitous = memcmp(frame + ARP_TARGET_IP, vip, sizeof *vip) == 0;
        tell("{\"event\":\"arp\",\"t_ns\":%lld,\"mac\":\"%02x:%02x:%02x:%02x:%02x:%02x\",\"kind\":\"%s\"}\n",
             (long long)came_ns, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], gratuitous ? "gratuitous" : "reply");
    }
}

/* -- how busy the engine's host is: /proc tells it in a container, too --------------------------------------------- */

static struct {
    int64_t due_ns;
    int stat, pressure; /* -1 for a kernel without PSI, or one that was started without */
} cpu;

/* The beginning of a file of /proc, as it is now; -1 if it cannot be read. */
static ssize_t look(int file, char *into, size_t room)
{
    ssize_t size = pread(file, into, room - 1, 0);
    into[size > 0 ? size : 0] = '\0';
    return size;
}

static void tell_cpu(void)
{
    int64_t now = now_ns();
    cpu.due_ns = now + CPU_EVERY_NS;
    char text[LONGEST_LINE];
    long long spent[8] = {0}, all = 0; /* user, nice, system, idle, iowait, irq, softirq, steal */
    if (look(cpu.stat, text, sizeof text) > 0)
        sscanf(text, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", spent, spent + 1, spent + 2, spent + 3, spent + 4,
               spent + 5, spent + 6, spent + 7);
    for (size_t at = 0; at < 8; at++)
        all += spent[at];
    long long ms = 1000 / sysconf(_SC_CLK_TCK);
    char waited[24] = "null";
    const char *total = look(cpu.pressure, text, sizeof text) > 0 ? strstr(text, " total=") : NULL;
    if (total)
        snprintf(waited, sizeof waited, "%lld", strtoll(total + strlen(" total="), NULL, 10));
    tell("{\"event\":\"cpu\",\"t_ns\":%lld,\"idle_ms\":%lld,\"steal_ms\":%lld,\"all_ms\":%lld,\"waited_us\":%s}\n",
         (long long)now, (spent[3] + spent[4]) * ms, spent[7] * ms, all * ms, waited);
}

/* -- commands; the end of input means that the driver is gone, so the agent leaves too ----------------------------- */

static bool resting, done;

static void obey(const char *line)
{
    char id[32];
    if (sscanf(line, "stamp %31[a-z0-9-]", id) == 1) {
        tell_cpu(); /* whoever marks an instant wants to know how busy the host was until then, and from then on */
        tell_clock(id);
        flush();
    } else if (strcmp(line, "rest") == 0)
        resting = true;
    else if (strcmp(line, "work") == 0) {
        if (resting)
            skip_due(); /* what passed meanwhile is not made up for */
        resting = false;
    } else if (strcmp(line, "quit") == 0)
        done = true;
}

static void read_commands(void)
{
    static char text[4096];
    static size_t size;
    ssize_t more = read(STDIN_FILENO, text + size, sizeof text - 1 - size);
    if (more <= 0) {
        done = more == 0 || errno != EINTR;
        return;
    }
    size += (size_t)more;
    text[size] = '\0';
    char *at = text, *end;
    while ((end = strchr(at, '\n')) != NULL) {
        *end = '\0';
        obey(at);
        at = end + 1;
    }
    size -= (size_t)(at - text);
    memmove(text, at, size);
    if (size == sizeof text - 1)
        size = 0; /* no command is that long */
}

/* -- the loop ------------------------------------------------------------------------------------------------------ */

/* Until an instant, a command, or a connection that has come about, which does not wait for the next slot. */
static void await(int64_t wake_ns)
{
    static struct pollfd *polled;
    static size_t room;
    if (room < probe.open_count + 1) {
        room = 2 * probe.open_count + 16;
        polled = enough(realloc(polled, room * sizeof *polled));
    }
    nfds_t count = 0;
    polled[count++] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    for (size_t index = 0; index < probe.open_count; index++)
        if (!probe.open[index].asked)
            polled[count++] = (struct pollfd){.fd = probe.open[index].sock, .events = POLLOUT};
    int64_t left_ns = wake_ns - now_ns();
    if (left_ns < 0)
        left_ns = 0;
    struct timespec left = {left_ns / SECOND, left_ns % SECOND};
    if (ppoll(polled, count, &left, NULL) <= 0)
        return;
    size_t index = 0;
    for (nfds_t at = 1; at < count; at++) {
        if (!polled[at].revents)
            continue;
        while (probe.open[index].sock != polled[at].fd)
            index++;
        ask(index);
    }
    if (polled[0].revents)
        read_commands();
}

static void run(void)
{
    for (int64_t clock_at_ns = 0; !done;) {
        int64_t now = now_ns();
        if (now >= clock_at_ns) {
            tell_clock("");
            clock_at_ns = now + CLOCK_EVERY_NS;
        }
        if (resting)
            skip_due();
        else {
            start_due();
            ask_arp_due();
            if (cpu.due_ns <= now)
                tell_cpu();
        }
        read_answers();
        if (arp.sock >= 0)
            read_arp();
        expire();
        if (now >= tell_at_ns || resting)
            flush();
        int64_t wake_ns = resting ? now + CLOCK_EVERY_NS : earlier(probe.due_ns, arp.due_ns);
        if (probe.open_count)
            wake_ns = earlier(wake_ns, now + LOOK_EVERY_NS);
        await(wake_ns);
    }
    tell("{\"event\":\"end\",\"t_ns\":%lld,\"requests\":%lld}\n", (long long)now_ns(), (long long)probe.slot);
    flush();
}

static const char USAGE[] = "usage: agent --vip ADDRESS [--port 80] [--path /] [--cadence-ms 10] [--limit-ms 800]\n"
                            "             [--interface LINK [--arp-ms 50]] [--marker NODE=TEXT]...\n"
                            "Without --interface nobody is asked by ARP. Schedules are in ms, with fractions.\n";

static void refuse(const char *why)
{
    fprintf(stderr, "agent: %s\n%s", why, USAGE);
    exit(3);
}

static int64_t milliseconds(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (*end || !(value > 0 && value < 1e9))
        refuse("a schedule is a number of milliseconds above 0");
    return (int64_t)(value * MILLISECOND);
}

static void add_marker(char *text)
{
    char *equals = strchr(text, '=');
    if (!equals)
        refuse("a marker is NODE=TEXT");
    *equals = '\0';
    probe.markers = enough(realloc(probe.markers, (probe.marker_count + 1) * sizeof *probe.markers));
    probe.markers[probe.marker_count++] = (struct marker){text, equals + 1};
}

int main(int count, char **words)
{
    static const struct option options[] = {
        {"vip", required_argument, NULL, 'v'},
        {"port", required_argument, NULL, 'p'},
        {"path", required_argument, NULL, 'f'},
        {"interface", required_argument, NULL, 'i'},
        {"cadence-ms", required_argument, NULL, 'c'},
        {"limit-ms", required_argument, NULL, 'l'},
        {"arp-ms", required_argument, NULL, 'a'},
        {"marker", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *vip = NULL, *path = "/", *interface = NULL;
    int64_t arp_ns = 50 * MILLISECOND;
    probe.target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(80)};
    probe.cadence_ns = 10 * MILLISECOND;
    probe.limit_ns = 800 * MILLISECOND;
    for (int option; (option = getopt_long(count, words, "", options, NULL)) != -1;) {
        switch (option) {
        case 'v':
            vip = optarg;
            break;
        case 'p':
            probe.target.sin_port = htons((uint16_t)strtoul(optarg, NULL, 10));
            break;
        case 'f':
            path = optarg;
            break;
        case 'i':
            interface = optarg;
            break;
        case 'c':
            probe.cadence_ns = milliseconds(optarg);
            break;
        case 'l':
            probe.limit_ns = milliseconds(optarg);
            break;
        case 'a':
            arp_ns = milliseconds(optarg);
            break;
        case 'm':
            add_marker(optarg);
            break;
        case 'h':
            fputs(USAGE, stdout);
            return 0;
        default:
            refuse("no such option");
        }
    }
    if (!vip || inet_pton(AF_INET, vip, &probe.target.sin_addr) != 1)
        refuse("--vip is an IPv4 address");
    int size = snprintf(probe.question, sizeof probe.question,
                        "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: labkit\r\nConnection: close\r\n\r\n", path, vip);
    if (size >= (int)sizeof probe.question)
        refuse("--path is too long");
    probe.question_size = (size_t)size;
    cpu.stat = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    cpu.pressure = open("/proc/pressure/cpu", O_RDONLY | O_CLOEXEC);
    /* From the same instant on as the requests, so that one turn of the loop does for both. */
    probe.due_ns = now_ns();
    if (interface)
        watch(interface, arp_ns, probe.due_ns);
    run();
    return 0;
}
