/* A load generator that costs the server little of the machine that both share.
 *
 *   loader PORT CONNECTIONS open SCHEDULE REQUESTS RESULTS       sends at the times of the schedule
 *   loader PORT CONNECTIONS closed SECONDS REQUESTS RESULTS      sends the next one when the one before is answered
 *
 * SCHEDULE: u64 nanoseconds from the start, ascending, native byte order.
 * REQUESTS: records of u32 length of the request, u32 length of the body that it must be answered with, and both.
 * RESULTS: a record as struct result for each request, in the order of sending.
 *
 * Open: a request is due whether or not others were answered. Latency counts from when it was due, so that a stall,
 * be it of the server or of this program, is in every latency that it touches. A free connection is used where there
 * is one; else requests are pipelined, the connections in turn. Each connection has been used once before.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NEVER UINT64_MAX
#define PATIENCE_NS 20000000000ull /* for answers after the last request */

struct request { const char *data; uint32_t length; const char *answer; uint32_t answer_length; };
struct result { uint64_t sent_ns; uint32_t late_us, latency_us; uint16_t status, right; uint32_t unused; };
struct connection {
    int socket, is_idle, is_broken;
    uint32_t *waiting, first, count, room; /* ring of the requests that wait for an answer */
    char *out, *in;
    size_t out_length, out_room, in_length, in_room;
};

static struct request *requests;
static struct result *results;
static struct connection *connections, **idle;
static uint64_t start_ns, answered, failed, deepest, room;
static uint32_t request_count, connection_count, idle_count;
static int poller;

static void die(const char *what) { perror(what); exit(1); }

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec - start_ns;
}

static void *grown(void *old, size_t size) {
    void *larger = realloc(old, size);
    if (!larger) die("memory");
    return larger;
}

static char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) die(path);
    *length = (size_t)ftell(file);
    rewind(file);
    char *data = grown(NULL, *length + 1);
    if (fread(data, 1, *length, file) != *length) die(path);
    fclose(file);
    return data;
}

static void read_requests(const char *path) {
    size_t length;
    char *data = read_file(path, &length);
    for (size_t at = 0; at + 8 <= length;) {
        requests = grown(requests, (request_count + 1) * sizeof *requests);
        struct request *r = &requests[request_count++];
        memcpy(&r->length, data + at, 4);
        memcpy(&r->answer_length, data + at + 4, 4);
        r->data = data + at + 8;
        r->answer = r->data + r->length;
        at += 8 + (size_t)r->length + r->answer_length;
    }
    if (!request_count) { fprintf(stderr, "no requests\n"); exit(1); }
}

static void watch(struct connection *c, int operation) {
    struct epoll_event event = {.events = EPOLLIN | (c->out_length ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(poller, operation, c->socket, &event)) die("epoll_ctl");
}

static void break_off(struct connection *c) {
    if (c->is_broken) return;
    c->is_broken = 1;
    failed += c->count; /* their results stay at status 0 */
    answered += c->count;
    c->count = 0;
    c->out_length = 0;
    close(c->socket);
    for (uint32_t i = 0; i < idle_count; i++)
        if (idle[i] == c) { idle[i] = idle[--idle_count]; break; }
}

static void connect_all(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connections = calloc(connection_count, sizeof *connections);
    idle = calloc(connection_count, sizeof *idle);
    if (!connections || !idle || (poller = epoll_create1(0)) < 0) die("epoll");
    for (uint32_t i = 0; i < connection_count; i++) {
        struct connection *c = &connections[i];
        int one = 1;
        if ((c->socket = socket(AF_INET, SOCK_STREAM, 0)) < 0) die("socket");
        if (connect(c->socket, (struct sockaddr *)&address, sizeof address)) die("connect");
        setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        fcntl(c->socket, F_SETFL, O_NONBLOCK);
        c->waiting = grown(NULL, (c->room = 64) * sizeof *c->waiting);
        c->in = grown(NULL, c->in_room = 8192);
        c->out = grown(NULL, c->out_room = 8192);
        c->is_idle = 1;
        idle[idle_count++] = c;
        watch(c, EPOLL_CTL_ADD);
    }
}

static void flush(struct connection *c) {
    size_t sent = 0;
    while (sent < c->out_length) {
        ssize_t n = send(c->socket, c->out + sent, c->out_length - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) { break_off(c); return; }
        sent += (size_t)n;
    }
    memmove(c->out, c->out + sent, c->out_length - sent);
    c->out_length -= sent;
    if (!c->out_length) watch(c, EPOLL_CTL_MOD);
}

static void send_request(struct connection *c, uint32_t number) {
    const struct request *r = &requests[number % request_count];
    if (c->count == c->room) {
        uint32_t *ring = grown(NULL, 2 * c->room * sizeof *ring);
        for (uint32_t i = 0; i < c->count; i++) ring[i] = c->waiting[(c->first + i) % c->room];
        free(c->waiting);
        c->waiting = ring;
        c->first = 0;
        c->room *= 2;
    }
    c->waiting[(c->first + c->count++) % c->room] = number;
    if (c->count > deepest) deepest = c->count;
    size_t sent = 0;
    if (!c->out_length) {
        ssize_t n = send(c->socket, r->data, r->length, MSG_NOSIGNAL);
        if (n == (ssize_t)r->length) return;
        if (n < 0 && errno != EAGAIN && errno != EINTR) { break_off(c); return; }
        sent = n < 0 ? 0 : (size_t)n;
    }
    size_t left = r->length - sent;
    if (c->out_length + left > c->out_room) c->out = grown(c->out, c->out_room = 2 * (c->out_length + left));
    memcpy(c->out + c->out_length, r->data + sent, left);
    c->out_length += left;
    watch(c, EPOLL_CTL_MOD);
}

/* Returns the length of the first answer in a connection's buffer, 0 while it is not all there, -1 when it is none. */
static ssize_t first_answer(struct connection *c, int *status, char **body, size_t *body_length) {
    char *end = memmem(c->in, c->in_length, "\r\n\r\n", 4);
    if (!end) return c->in_length > 65536 ? -1 : 0;
    size_t head = (size_t)(end - c->in) + 4;
    if (head < 16 || memcmp(c->in, "HTTP/1.1 ", 9)) return -1;
    *status = atoi(c->in + 9);
    *body_length = SIZE_MAX;
    for (char *line = c->in; line < end; line = (char *)memmem(line, head, "\r\n", 2) + 2)
        if (!strncasecmp(line, "content-length:", 15)) *body_length = strtoul(line + 15, NULL, 10);
    if (*body_length == SIZE_MAX) return -1;
    *body = c->in + head;
    return c->in_length < head + *body_length ? 0 : (ssize_t)(head + *body_length);
}

static void receive(struct connection *c, const uint64_t *due_ns, uint64_t stop_ns, uint64_t *next) {
    while (!c->is_broken) {
        if (c->in_length == c->in_room) c->in = grown(c->in, c->in_room *= 2);
        ssize_t n = recv(c->socket, c->in + c->in_length, c->in_room - c->in_length - 1, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) { break_off(c); return; }
        c->in_length += (size_t)n;
        c->in[c->in_length] = 0;
        uint64_t now = now_ns();
        for (;;) {
            int status = 0;
            char *body = NULL;
            size_t body_length = 0;
            ssize_t length = first_answer(c, &status, &body, &body_length);
            if (length < 0 || (length > 0 && !c->count)) { break_off(c); return; }
            if (length == 0) break;
            uint32_t number = c->waiting[c->first];
            c->first = (c->first + 1) % c->room;
            c->count--;
            const struct request *r = &requests[number % request_count];
            struct result *result = &results[number];
            uint64_t since = due_ns ? due_ns[number] : result->sent_ns;
            result->latency_us = (uint32_t)((now - since) / 1000);
            result->status = (uint16_t)status;
            result->right = status == 200 && body_length == r->answer_length && !memcmp(body, r->answer, body_length);
            answered++;
            memmove(c->in, c->in + length, c->in_length - (size_t)length);
            c->in_length -= (size_t)length;
        }
        if (due_ns && !c->count && !c->is_idle) {
            c->is_idle = 1;
            idle[idle_count++] = c;
        } else if (!due_ns && !c->count && now < stop_ns && *next < room) {
            results[*next].sent_ns = now_ns();
            send_request(c, (uint32_t)(*next)++);
        }
        return; /* the rest, if there is any, is told of again */
    }
}

static void wait_and_receive(uint64_t until_ns, const uint64_t *due_ns, uint64_t stop_ns, uint64_t *next) {
    struct epoll_event events[256];
    uint64_t now = now_ns(), left = until_ns > now ? until_ns - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000ull), .tv_nsec = (long)(left % 1000000000ull)};
    int n = (int)syscall(SYS_epoll_pwait2, poller, events, 256, &timeout, NULL, 0);
    if (n < 0 && errno != EINTR) die("epoll_pwait2");
    for (int i = 0; i < n; i++) {
        struct connection *c = events[i].data.ptr;
        if ((events[i].events & EPOLLOUT) && !c->is_broken) flush(c);
        if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !c->is_broken) receive(c, due_ns, stop_ns, next);
    }
}

/* One request on each connection, some at a time: making connections is work for the server, and no part of the load. */
static void use_all(void) {
    uint64_t none = 0, until_ns = now_ns() + 3 * PATIENCE_NS;
    for (uint32_t at = 0; at < connection_count; at += 64) {
        uint32_t end = at + 64 < connection_count ? at + 64 : connection_count;
        for (uint32_t i = at; i < end; i++) send_request(&connections[i], (uint32_t)(i % room));
        while (answered < end && now_ns() < until_ns) wait_and_receive(now_ns() + 100000000ull, NULL, 0, &none);
    }
    if (answered < connection_count || failed) { fprintf(stderr, "not every connection is served\n"); exit(1); }
    memset(results, 0, (room < connection_count ? room : connection_count) * sizeof *results);
    answered = deepest = 0;
}

static uint64_t run_open(const uint64_t *due_ns, uint64_t count) {
    uint64_t next = 0, turn = 0;
    while (answered < count) {
        uint64_t now = now_ns();
        /* A few at a time, so that answers are read, and their time taken, in between. */
        for (int few = 0; few < 32 && next < count && due_ns[next] <= now; few++, next++) {
            struct connection *c = NULL;
            if (idle_count) {
                c = idle[--idle_count];
                c->is_idle = 0;
            } else {
                for (uint32_t i = 0; i < connection_count && (!c || c->is_broken); i++)
                    c = &connections[turn++ % connection_count];
            }
            now = now_ns();
            results[next].sent_ns = now;
            results[next].late_us = (uint32_t)((now - due_ns[next]) / 1000);
            if (c->is_broken) { failed++; answered++; continue; }
            send_request(c, (uint32_t)next);
        }
        if (next == count && now > due_ns[count - 1] + PATIENCE_NS) break;
        wait_and_receive(next < count ? due_ns[next] : now + 100000000ull, due_ns, NEVER, &next);
    }
    return next;
}

static uint64_t run_closed(uint64_t for_ns) {
    uint64_t next = 0;
    for (uint32_t i = 0; i < connection_count; i++) {
        results[next].sent_ns = now_ns();
        send_request(&connections[i], (uint32_t)next++);
    }
    while (answered < next && now_ns() < for_ns + PATIENCE_NS) wait_and_receive(for_ns + PATIENCE_NS, NULL, for_ns, &next);
    return next;
}

int main(int argc, char **argv) {
    if (argc != 7) { fprintf(stderr, "usage: see the head of loader.c\n"); return 2; }
    connection_count = (uint32_t)atoi(argv[2]);
    int is_open = !strcmp(argv[3], "open");
    read_requests(argv[5]);
    uint64_t *due_ns = NULL;
    size_t length = 0;
    if (is_open) due_ns = (uint64_t *)read_file(argv[4], &length);
    room = is_open ? length / sizeof *due_ns : 20000000;
    results = calloc(room, sizeof *results); /* untouched pages cost nothing */
    if (!results || !room) die("results");
    prctl(PR_SET_TIMERSLACK, 1000);
    connect_all(atoi(argv[1]));
    if (is_open) use_all();
    start_ns = now_ns();
    uint64_t sent = is_open ? run_open(due_ns, room) : run_closed((uint64_t)(atof(argv[4]) * 1e9));
    uint64_t took_ns = now_ns();
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    FILE *file = fopen(argv[6], "wb");
    if (!file || fwrite(results, sizeof *results, sent, file) != sent || fclose(file)) die(argv[6]);
    printf("{\"sent\": %llu, \"answered\": %llu, \"broken\": %llu, \"took_s\": %.6f, \"cpu_s\": %.6f, \"deepest\": %llu}\n",
           (unsigned long long)sent, (unsigned long long)(answered - failed), (unsigned long long)failed, (double)took_ns / 1e9,
           (double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
               ((double)used.ru_utime.tv_usec + (double)used.ru_stime.tv_usec) / 1e6,
           (unsigned long long)deepest);
    return 0;
}
