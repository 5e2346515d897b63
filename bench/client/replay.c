/* Replays signed HTTP/1.1 requests over keep-alive connections, and times every answer.
 *
 * A closed loop: each connection has one request outstanding, and takes the next one of the file when its
 * answer is whole. Every request is sent once, except where a server closes a kept connection before it has
 * answered a byte: then it is sent again on a new one, and counted as such. Answers are read whole; their
 * status and, where the plan knows it, their length are compared.
 *
 *     replay [--poll] FILE IP PORT CONNECTIONS SOFT_MS HARD_MS [CA_FILE NAME]
 *
 * With --poll it never sleeps: for a client that has a core of its own. Waking a core that sleeps costs the one
 * that wakes it, which is the server's; on a virtual machine that is more than a small answer costs. The time that
 * it polled in vain is not in the CPU time that it tells.
 *
 * It connects, writes "ready", waits for a line on stdin, runs, and writes one JSON object. After SOFT_MS it
 * sends nothing new; after HARD_MS it gives up what is outstanding. With CA_FILE ("-": the system's authorities)
 * it speaks TLS, if built with -DWITH_TLS, and verifies the certificate for NAME, a host name or an address.
 *
 * FILE, little endian: "anys3rp1", u64 number of requests, u64 bytes of the block, the block, and for each
 * request: u32 expected status, u32 flags, u64 bytes of head, u64 offset in the block, u64 bytes of body,
 * i64 expected bytes of the answer's body (-1: not known), and the head. The body of a request is cut from
 * the block, from the offset on and around: bodies vary, and the file stays small.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#endif

#define FLAG_HEAD 1      /* the answer has no body, whatever it says: HEAD */
#define FLAG_BARRIER 2   /* is sent when everything before it is answered */
#define FLAG_NO_ERROR 4  /* a body that holds <Error> is as bad as a wrong status: CopyObject, Complete... */
#define STAGE_BYTES 32768 /* head and body up to this size leave in one send */
#define HEAD_BYTES 32768  /* an answer's head is no longer */
#define BUFFER_BYTES (1 << 20)
#define SAMPLE_BYTES 400
#ifndef REST_TURNS
#define REST_TURNS 300
#endif

typedef struct {
    uint32_t status, flags;
    uint64_t head_bytes, offset, body_bytes;
    int64_t answer_bytes;
} Plan;

typedef struct {
    const Plan *plan;
    const char *head;
} Request;

enum Reading { IN_HEAD, IN_LENGTH, UNTIL_CLOSE, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILERS };

typedef struct {
    int fd, is_writable_watched;
    const Request *request; /* NULL: nothing is outstanding */
    uint64_t sent, started_ns;
    enum Reading reading;
    int status, closes, has_bytes, resends, line_bytes, has_error;
    uint64_t left, body_bytes;
    uint32_t head_used;
    char *stage, *head;
    uint32_t stage_used; /* 0: head and body are sent from where they are */
#ifdef WITH_TLS
    SSL *tls;
#endif
} Connection;

static Request *requests;
static uint64_t request_count, next_request, block_bytes;
static const char *block;
static Connection *connections, **idle;
static int connection_count, idle_count, outstanding, poller;
static struct sockaddr_in address;
static const char *ca_file, *host_name;
static char *buffer;
static uint64_t *latencies, answers, received_bytes, answer_body_bytes, sent_bytes;
static uint64_t unexpected[1000], wrong_lengths, error_bodies, reconnects, resent, broken;
static char sample[SAMPLE_BYTES + 1];
static uint64_t soft_ns, last_answer_ns;
static int is_started;
#ifdef WITH_TLS
static SSL_CTX *context;
#endif

static void fail(const char *what) {
    fprintf(stderr, "replay: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void refuse(const char *what) {
    fprintf(stderr, "replay: %s\n", what);
    exit(2);
}

static uint64_t now_ns(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static void load(const char *path) {
    int fd = open(path, O_RDONLY);
    struct stat about;
    if (fd < 0 || fstat(fd, &about) < 0) fail(path);
    char *at = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (at == MAP_FAILED || about.st_size < 24 || memcmp(at, "anys3rp1", 8)) refuse("not a file of requests");
    const char *end = at + about.st_size;
    memcpy(&request_count, at + 8, 8);
    memcpy(&block_bytes, at + 16, 8);
    block = at + 24;
    at += 24 + block_bytes;
    requests = calloc(request_count ? request_count : 1, sizeof *requests);
    Plan *plans = calloc(request_count ? request_count : 1, sizeof *plans);
    latencies = calloc(request_count ? request_count : 1, sizeof *latencies);
    if (!requests || !latencies || !plans) refuse("no memory");
    for (uint64_t index = 0; index < request_count; index++) {
        if (at + 40 > end) refuse("the file of requests is cut short");
        memcpy(plans + index, at, 40);
        requests[index].plan = plans + index;
        requests[index].head = at + 40;
        at += 40 + plans[index].head_bytes;
    }
    if (at != end) refuse("the file of requests is not as long as it says");
}

/* --- connections --------------------------------------------------------------------------------------- */

static void disconnect(Connection *one) {
    if (one->fd < 0) return;
#ifdef WITH_TLS
    if (one->tls) SSL_free(one->tls);
    one->tls = NULL;
#endif
    close(one->fd); /* which takes it out of the poller */
    one->fd = -1;
    one->is_writable_watched = 0;
}

static int connect_one(Connection *one) {
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {10, 0};
    if (fd < 0) fail("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return 0;
    }
    one->fd = fd;
#ifdef WITH_TLS
    if (ca_file) {
        one->tls = SSL_new(context);
        if (!X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(one->tls), host_name)) {
            SSL_set1_host(one->tls, host_name);
            SSL_set_tlsext_host_name(one->tls, host_name);
        }
        SSL_set_fd(one->tls, fd);
        if (SSL_connect(one->tls) != 1) {
            ERR_print_errors_fp(stderr);
            disconnect(one);
            return 0;
        }
    }
#endif
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = one};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
    if (is_started) reconnects++;
    return 1;
}

static void watch(Connection *one, int writable) {
    if (one->is_writable_watched == writable) return;
    one->is_writable_watched = writable;
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.ptr = one};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, one->fd, &event) < 0) fail("epoll_ctl");
}

/* Bytes moved; 0: would block; -1: the connection has ended. */
static ssize_t push(Connection *one, const char *bytes, size_t size, int has_more) {
#ifdef WITH_TLS
    if (one->tls) {
        int done = SSL_write(one->tls, bytes, (int)(size > BUFFER_BYTES ? BUFFER_BYTES : size));
        if (done > 0) return done;
        int why = SSL_get_error(one->tls, done);
        ERR_clear_error();
        return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? 0 : -1;
    }
#endif
    ssize_t done = send(one->fd, bytes, size, MSG_NOSIGNAL | (has_more ? MSG_MORE : 0));
    if (done < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    return done;
}

static ssize_t pull(Connection *one) {
#ifdef WITH_TLS
    if (one->tls) {
        int done = SSL_read(one->tls, buffer, BUFFER_BYTES);
        if (done > 0) return done;
        int why = SSL_get_error(one->tls, done);
        ERR_clear_error();
        return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
#endif
    ssize_t done = recv(one->fd, buffer, BUFFER_BYTES, 0);
    if (done > 0) return done;
    return done < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* --- sending ------------------------------------------------------------------------------------------- */

static void begin(Connection *one, const Request *request);

static void dispatch(void) {
    while (idle_count && next_request < request_count) {
        const Request *request = requests + next_request;
        if (request->plan->flags & FLAG_BARRIER && outstanding) return;
        if (now_ns(CLOCK_MONOTONIC) > soft_ns) return;
        next_request++;
        outstanding++;
        Connection *one = idle[--idle_count];
        one->resends = 0;
        begin(one, request);
    }
}

static void release(Connection *one) {
    one->request = NULL;
    outstanding--;
    idle[idle_count++] = one;
}

/* The connection ended early: once more on a new one, if no byte of an answer has come. */
static void lose(Connection *one) {
    const Request *request = one->request;
    disconnect(one);
    if (!request) return;
    if (!one->has_bytes && one->resends < 2) {
        one->resends++;
        resent++;
        begin(one, request);
        return;
    }
    broken++;
    release(one);
}

static void receive(Connection *one);

/* Nothing more can be sent. The server may have answered before it closed: then its answer is read. */
static void refused(Connection *one) {
    const Request *request = one->request;
    int resends = one->resends;
    watch(one, 0);
    receive(one);
    if (one->request == request && one->resends == resends && !one->has_bytes) lose(one);
}

static void flush(Connection *one) {
    const Plan *plan = one->request->plan;
    uint64_t total = plan->head_bytes + plan->body_bytes;
    while (one->sent < total) {
        const char *from;
        uint64_t size;
        if (one->stage_used) {
            from = one->stage + one->sent;
            size = total - one->sent;
        } else if (one->sent < plan->head_bytes) {
            from = one->request->head + one->sent;
            size = plan->head_bytes - one->sent;
        } else {
            uint64_t done = one->sent - plan->head_bytes, at = (plan->offset + done) % block_bytes;
            from = block + at;
            size = total - one->sent;
            if (size > block_bytes - at) size = block_bytes - at;
        }
        ssize_t moved = push(one, from, size, one->sent + size < total);
        if (moved < 0) {
            refused(one);
            return;
        }
        if (!moved) {
            watch(one, 1);
            return;
        }
        one->sent += (uint64_t)moved;
        sent_bytes += (uint64_t)moved;
    }
    watch(one, 0);
}

static void begin(Connection *one, const Request *request) {
    const Plan *plan = request->plan;
    one->request = request;
    one->sent = 0;
    one->reading = IN_HEAD;
    one->head_used = 0;
    one->has_bytes = one->closes = one->has_error = 0;
    one->body_bytes = 0;
    one->stage_used = 0;
    if (plan->body_bytes && plan->head_bytes + plan->body_bytes <= STAGE_BYTES) {
        memcpy(one->stage, request->head, plan->head_bytes);
        uint64_t at = plan->offset % block_bytes, first = block_bytes - at;
        if (first > plan->body_bytes) first = plan->body_bytes;
        memcpy(one->stage + plan->head_bytes, block + at, first);
        memcpy(one->stage + plan->head_bytes + first, block, plan->body_bytes - first);
        one->stage_used = (uint32_t)(plan->head_bytes + plan->body_bytes);
    }
    one->started_ns = now_ns(CLOCK_MONOTONIC);
    if (one->fd < 0 && !connect_one(one)) {
        broken++;
        release(one);
        return;
    }
    flush(one);
}

/* --- answers ------------------------------------------------------------------------------------------- */

static void keep_sample(const char *text, size_t size) {
    if (sample[0]) return;
    if (size > SAMPLE_BYTES) size = SAMPLE_BYTES;
    memcpy(sample, text, size);
}

static void finish(Connection *one) {
    const Plan *plan = one->request->plan;
    last_answer_ns = now_ns(CLOCK_MONOTONIC);
    latencies[answers++] = last_answer_ns - one->started_ns;
    answer_body_bytes += one->body_bytes;
    if ((uint32_t)one->status != plan->status) {
        unexpected[one->status]++;
    } else if (plan->answer_bytes >= 0 && one->body_bytes != (uint64_t)plan->answer_bytes) {
        wrong_lengths++;
    } else if (one->has_error) {
        error_bodies++;
    }
    /* An answer before the request was whole: what is left of it has no use for the server. */
    if (one->closes || one->sent < plan->head_bytes + plan->body_bytes) disconnect(one);
    release(one);
}

/* Reads the head at `text`; returns 0 for an interim answer. */
static int read_head(Connection *one, char *text, size_t size) {
    int chunked = 0, has_length = 0, is_old;
    uint64_t length = 0;
    text[size - 1] = 0; /* the last newline */
    if (size < 16 || strncmp(text, "HTTP/1.", 7)) refuse("an answer is not HTTP/1.x");
    is_old = text[7] == '0';
    one->status = atoi(text + 9);
    if (one->status < 100 || one->status > 999) refuse("an answer has no status");
    if (one->status < 200) return 0;
    one->closes = is_old;
    for (char *line = strchr(text, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
        char *name = line + 1;
        if (!strncasecmp(name, "content-length:", 15)) {
            length = strtoull(name + 15, NULL, 10);
            has_length = 1;
        } else if (!strncasecmp(name, "transfer-encoding:", 18)) {
            chunked = 1;
        } else if (!strncasecmp(name, "connection:", 11)) {
            for (name += 11; *name == ' '; name++) {}
            if (!strncasecmp(name, "close", 5)) one->closes = 1;
            else if (!strncasecmp(name, "keep-alive", 10)) one->closes = 0;
        }
    }
    if (one->request->plan->flags & FLAG_HEAD || one->status == 204 || one->status == 304) {
        one->reading = IN_LENGTH;
        one->left = 0;
    } else if (chunked) {
        one->reading = CHUNK_SIZE;
        one->left = 0;
    } else if (has_length) {
        one->reading = IN_LENGTH;
        one->left = length;
    } else {
        one->reading = UNTIL_CLOSE;
        one->closes = 1;
    }
    return 1;
}

static void see_body(Connection *one, const char *bytes, size_t size) {
    if ((uint32_t)one->status != one->request->plan->status) keep_sample(bytes, size);
    if (one->request->plan->flags & FLAG_NO_ERROR && memmem(bytes, size, "<Error", 6)) {
        one->has_error = 1;
        keep_sample(bytes, size);
    }
    one->body_bytes += size;
}

/* Takes bytes of an answer's body; returns 1 when it is whole. */
static int take_body(Connection *one, const char *bytes, size_t size) {
    for (;;) {
        switch (one->reading) {
        case IN_LENGTH:
        case CHUNK_DATA: {
            size_t part = size < one->left ? size : (size_t)one->left;
            if (part) see_body(one, bytes, part);
            one->left -= part;
            bytes += part;
            size -= part;
            if (one->left) return 0;
            if (one->reading == IN_LENGTH) return 1;
            one->reading = CHUNK_END;
            break;
        }
        case UNTIL_CLOSE:
            if (size) see_body(one, bytes, size);
            return 0;
        case CHUNK_SIZE:
            /* line_bytes: -1 once the digits have ended (an extension follows) */
            for (; size; bytes++, size--) {
                char c = *bytes;
                if (c == '\n') break;
                int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
                if (digit < 0) one->line_bytes = -1;
                else if (one->line_bytes >= 0) one->left = one->left * 16 + (uint64_t)digit;
            }
            if (!size) return 0;
            bytes++;
            size--;
            one->line_bytes = 0;
            one->reading = one->left ? CHUNK_DATA : TRAILERS;
            break;
        case CHUNK_END:
            while (size && *bytes != '\n') bytes++, size--;
            if (!size) return 0;
            bytes++;
            size--;
            one->reading = CHUNK_SIZE;
            break;
        case TRAILERS:
            for (; size; bytes++, size--) {
                if (*bytes == '\n') {
                    if (!one->line_bytes) return 1;
                    one->line_bytes = 0;
                } else if (*bytes != '\r') {
                    one->line_bytes++;
                }
            }
            return 0;
        default:
            refuse("not reached");
        }
    }
}

/* Takes bytes of an answer; returns 1 when it is whole. */
static int take(Connection *one, char *bytes, size_t size) {
    while (one->reading == IN_HEAD) {
        char *text = bytes, *end;
        size_t had = one->head_used;
        if (had) {
            if (had + size > HEAD_BYTES) refuse("an answer's head is longer than 32 KiB");
            memcpy(one->head + had, bytes, size);
            text = one->head;
        }
        end = memmem(text, had + size, "\r\n\r\n", 4);
        if (!end) {
            if (had + size > HEAD_BYTES) refuse("an answer's head is longer than 32 KiB");
            if (!had) memcpy(one->head, bytes, size);
            one->head_used = (uint32_t)(had + size);
            return 0;
        }
        size_t head_size = (size_t)(end + 4 - text), used = head_size - had;
        one->head_used = 0;
        one->line_bytes = 0;
        int is_final = read_head(one, text, head_size);
        bytes += used;
        size -= used;
        if (!is_final && !size) return 0;
        int has_no_body = is_final && one->reading == IN_LENGTH && !one->left;
        if (has_no_body && (uint32_t)one->status != one->request->plan->status) {
            keep_sample(text, head_size - 1);
        }
    }
    return take_body(one, bytes, size);
}

static void receive(Connection *one) {
    for (;;) {
        ssize_t size = pull(one);
        if (!size) return;
        if (size < 0) {
            if (one->request && one->has_bytes && one->reading == UNTIL_CLOSE) {
                finish(one);
                return;
            }
            lose(one);
            return;
        }
        received_bytes += (uint64_t)size;
        if (!one->request) { /* bytes that nobody asked for */
            disconnect(one);
            return;
        }
        one->has_bytes = 1;
        if (take(one, buffer, (size_t)size)) {
            finish(one);
            return;
        }
#ifdef WITH_TLS
        if (one->tls) continue; /* decrypted bytes may wait where the poller does not see them */
#endif
        return;
    }
}

/* --- the run ------------------------------------------------------------------------------------------- */

static int by_size(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return a < b ? -1 : a > b;
}

static uint64_t percentile(double share) {
    if (!answers) return 0;
    uint64_t rank = (uint64_t)(share * (double)answers);
    return latencies[rank < answers ? rank : answers - 1];
}

static void write_text(const char *text) {
    putchar('"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') printf("\\%c", c);
        else if (c < 32 || c > 126) printf("\\u%04x", c);
        else putchar(c);
    }
    putchar('"');
}

static void write_results(double seconds, double cpu_s) {
    const char *comma = "";
    double total = 0;
    for (uint64_t index = 0; index < answers; index++) total += (double)latencies[index];
    qsort(latencies, answers, sizeof *latencies, by_size);
    printf("{\"answers\": %lu, \"seconds\": %.9f, \"cpu_s\": %.9f, ", answers, seconds, cpu_s);
    printf("\"sent_bytes\": %lu, \"received_bytes\": %lu, ", sent_bytes, received_bytes);
    printf("\"body_bytes\": %lu, \"unexpected\": {", answer_body_bytes);
    for (int status = 0; status < 1000; status++) {
        if (!unexpected[status]) continue;
        printf("%s\"%d\": %lu", comma, status, unexpected[status]);
        comma = ", ";
    }
    printf("}, \"wrong_lengths\": %lu, \"error_bodies\": %lu, ", wrong_lengths, error_bodies);
    printf("\"reconnects\": %lu, \"resent\": %lu, \"broken\": %lu, ", reconnects, resent, broken);
    printf("\"unfinished\": %d, \"unsent\": %lu, ", outstanding, request_count - next_request);
    printf("\"mean_ns\": %.0f, \"p50_ns\": %lu, ", answers ? total / (double)answers : 0, percentile(0.5));
    printf("\"p99_ns\": %lu, \"p999_ns\": %lu, ", percentile(0.99), percentile(0.999));
    printf("\"max_ns\": %lu, \"sample\": ", percentile(1.0));
    write_text(sample);
    printf("}\n");
}

static void prepare_tls(void) {
#ifdef WITH_TLS
    context = SSL_CTX_new(TLS_client_method());
    int is_loaded = context && (strcmp(ca_file, "-") ? SSL_CTX_load_verify_locations(context, ca_file, NULL)
                                                     : SSL_CTX_set_default_verify_paths(context));
    if (!is_loaded) refuse("no authority can be read");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
#else
    refuse("built without TLS");
#endif
}

static void make_connections(void) {
    connections = calloc((size_t)connection_count, sizeof *connections);
    idle = calloc((size_t)connection_count, sizeof *idle);
    for (int index = connection_count - 1; index >= 0; index--) {
        Connection *one = connections + index;
        one->fd = -1;
        one->stage = malloc(STAGE_BYTES);
        one->head = malloc(HEAD_BYTES);
        if (!connect_one(one)) fail("connect");
        idle[idle_count++] = one;
    }
}

/* Let a few microseconds pass without a system call: polls without a break would fight with the server's sends for
 * the poller's lock. */
static void rest(void) {
    for (int turn = 0; turn < REST_TURNS; turn++) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("isb");
#endif
    }
}

int main(int count, char **words) {
    int is_polling = count > 1 && !strcmp(words[1], "--poll");
    count -= is_polling;
    words += is_polling;
    if (count != 7 && count != 9) refuse("usage: replay [--poll] FILE IP PORT CONNECTIONS SOFT_MS HARD_MS [CA_FILE NAME]");
    signal(SIGPIPE, SIG_IGN);
    load(words[1]);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(words[3]));
    if (inet_pton(AF_INET, words[2], &address.sin_addr) != 1) refuse("not an IPv4 address");
    connection_count = atoi(words[4]);
    if (connection_count < 1) refuse("no connections");
    uint64_t soft = strtoull(words[5], NULL, 10), hard = strtoull(words[6], NULL, 10);
    if (count == 9) ca_file = words[7], host_name = words[8];
    if (ca_file) prepare_tls();
    buffer = malloc(BUFFER_BYTES);
    poller = epoll_create1(EPOLL_CLOEXEC);
    make_connections();
    printf("ready\n");
    fflush(stdout);
    if (getchar() == EOF) return 3;

    uint64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID), start = now_ns(CLOCK_MONOTONIC);
    is_started = 1;
    last_answer_ns = start;
    soft_ns = start + soft * 1000000u;
    dispatch();
    struct epoll_event events[256];
    uint64_t turn = cpu, in_vain = 0;
    while (outstanding && now_ns(CLOCK_MONOTONIC) < start + hard * 1000000u) {
        if (is_polling) turn = now_ns(CLOCK_PROCESS_CPUTIME_ID);
        int ready = epoll_wait(poller, events, 256, is_polling ? 0 : 100);
        if (ready < 0 && errno != EINTR) fail("epoll_wait");
        if (!ready && is_polling) {
            rest();
            in_vain += now_ns(CLOCK_PROCESS_CPUTIME_ID) - turn;
        }
        for (int index = 0; index < ready; index++) {
            Connection *one = events[index].data.ptr;
            int fd = one->fd;
            if (events[index].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) receive(one);
            if (events[index].events & EPOLLOUT && one->request && one->fd == fd) flush(one);
            dispatch();
        }
    }
    double seconds = (double)(last_answer_ns - start) / 1e9;
    write_results(seconds, (double)(now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu - in_vain) / 1e9);
    return 0;
}
