// wsload: a fan-out load generator. One epoll thread holds N subscribers, each a WebSocket or a client of Engine.IO 4
// that polls, one thread publishes over HTTP. Every published body carries "@<19 digits of CLOCK_MONOTONIC ns>#<8
// digits of serial>"; the first text that brings a serial to a subscriber is one delivery and one latency sample, a
// second one is a duplicate.
// One line of JSON comes out. Exit status: 0 every publish was answered and every delivery arrived once, 1 not so, 2 it
// could not be tried.
// Build: gcc -O2 -pthread -o wsload wsload.c -lssl -lcrypto
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_TEXTS = 8, MAX_TEXT = 65535, MAX_REPLY = 4096, MAX_PARALLEL = 64, STAMP = 29 };

typedef struct {
  int fd, index, open, ready;
  SSL *ssl;
  size_t have, cap;
  unsigned char *buf;
  char *poll, *post; // for those that poll: the request that does, and what is to be posted before the next one
} Conn;

static const char *host = "127.0.0.1", *path = "/", *subs[MAX_TEXTS], *replies[MAX_TEXTS], *ready_text,
                  *pub_path = "/publish", *app_key, *app_secret,
                  *pub_body = "{\"name\":\"bench\",\"channel\":\"bench\",\"data\":\"%T%%P%\"}";
static long nsubs, nreplies, port = 8080, nconn = 100, nmsg = 100, size = 128, server_pid, parallel = 1, sources = 1,
                   settle_ms = 500, timeout_s = 60;
static double rate, beat_s;
static int tls, pub_close, on_cue, polling;

static SSL_CTX *ssl_context;
static int ep;
static long n_open, n_ready, n_refused, n_closed, n_delivered, n_duplicate;
static _Atomic int go, stop;
static _Atomic long n_sent, pub_errors, n_publishing;
static uint32_t *latency_us;
static unsigned char *seen;
static int64_t first_sent, last_arrived;

static void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("wsload: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  exit(2);
}
static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// What the server costs, its living children included: CPU time, and Pss, since workers share pages.
static double cpu_seconds(long pid) {
  char name[64], text[4096];
  double total = 0;
  snprintf(name, sizeof name, "/proc/%ld/stat", pid);
  FILE *f = fopen(name, "r");
  if (!f) return 0;
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
  char *after_name = strrchr(text, ')');
  long user, system;
  if (after_name && sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system) == 2)
    total = (double)(user + system) / sysconf(_SC_CLK_TCK);
  snprintf(name, sizeof name, "/proc/%ld/task/%ld/children", pid, pid);
  if ((f = fopen(name, "r"))) {
    long child;
    while (fscanf(f, "%ld", &child) == 1) total += cpu_seconds(child);
    fclose(f);
  }
  return total;
}
static long pss_kb(long pid) {
  char name[64], line[256];
  long total = 0, value;
  snprintf(name, sizeof name, "/proc/%ld/smaps_rollup", pid);
  FILE *f = fopen(name, "r");
  if (!f) return 0;
  while (fgets(line, sizeof line, f))
    if (sscanf(line, "Pss: %ld", &value) == 1) total = value;
  fclose(f);
  snprintf(name, sizeof name, "/proc/%ld/task/%ld/children", pid, pid);
  if ((f = fopen(name, "r"))) {
    long child;
    while (fscanf(f, "%ld", &child) == 1) total += pss_kb(child);
    fclose(f);
  }
  return total;
}

static int dial(long index) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  if (fd < 0) die("socket: %s", strerror(errno));
  if (sources > 1) { // one address has some 28,000 ports to dial from; the port may be chosen once the target is known
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001u + 1 + index % sources)};
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (void *)&from, sizeof from)) die("bind: %s", strerror(errno));
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, host, &to.sin_addr) != 1) die("--host wants an IPv4 address, not \"%s\"", host);
  if (connect(fd, (void *)&to, sizeof to)) die("connect to %s:%ld: %s", host, port, strerror(errno));
  return fd;
}
static SSL *shake_hands(int fd, SSL_SESSION *session) {
  if (!tls) return NULL;
  SSL *ssl = SSL_new(ssl_context);
  if (session) SSL_set_session(ssl, session);
  SSL_set_fd(ssl, fd);
  if (SSL_connect(ssl) != 1) die("the TLS handshake failed");
  return ssl;
}

// Subscribers

static ssize_t conn_write(Conn *c, const void *bytes, size_t n) {
  return c->ssl ? SSL_write(c->ssl, bytes, n) : write(c->fd, bytes, n);
}
static ssize_t conn_read(Conn *c, void *bytes, size_t n) {
  if (!c->ssl) return read(c->fd, bytes, n);
  int r = SSL_read(c->ssl, bytes, n);
  if (r > 0) return r;
  if (SSL_get_error(c->ssl, r) != SSL_ERROR_WANT_READ) return 0;
  errno = EAGAIN;
  return -1;
}
static void conn_open(Conn *c, long index, const char *request) {
  c->fd = dial(index);
  c->index = index;
  c->ssl = shake_hands(c->fd, NULL);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
  if (conn_write(c, request, strlen(request)) < 0) die("write: %s", strerror(errno));
}
static void conn_close(Conn *c) {
  if (c->ssl) SSL_free(c->ssl);
  c->ssl = NULL;
  close(c->fd);
  c->fd = -1;
  *(c->open ? &n_closed : &n_refused) += 1;
}
static size_t put_frame(unsigned char *out, const char *text) {
  size_t n = strlen(text), head = n < 126 ? 2 : 4;
  memcpy(out, (unsigned char[]){0x81, 0x80 | (n < 126 ? n : 126), n >> 8, n}, 4);
  memset(out + head, 0, 4); // a mask of zeros, so the text goes as it is
  memcpy(out + head + 4, text, n);
  return head + 4 + n;
}
static void send_text(Conn *c, const char *text) {
  unsigned char frame[MAX_TEXT + 8];
  size_t n = put_frame(frame, text);
  if (conn_write(c, frame, n) < 0) perror("wsload: write");
}
static void reply(Conn *c, unsigned char *text, size_t n) { // all replies to one text leave together
  unsigned char frames[MAX_TEXTS * (MAX_REPLY + 8)];
  size_t used = 0;
  for (int i = 0; i < nreplies; i++) {
    size_t k = strchr(replies[i], '=') - replies[i];
    if (k > n || memcmp(text, replies[i], k)) continue;
    const char *said = replies[i] + k + 1;
    if (!polling) used += put_frame(frames + used, said);
    else if (!c->post) c->post = strdup(said);
    else {
      char *before = c->post;
      if (asprintf(&c->post, "%s\x1e%s", before, said) < 0) die("no memory");
      free(before);
    }
  }
  if (used && conn_write(c, frames, used) < 0) perror("wsload: reply");
}
static void on_text(Conn *c, unsigned char *text, size_t n) {
  reply(c, text, n);
  if (ready_text && !c->ready && memmem(text, n, ready_text, strlen(ready_text))) {
    c->ready = 1;
    n_ready++;
  }
  unsigned char *at = memchr(text, '@', n);
  if (!at || at + STAMP > text + n || at[20] != '#') return;
  int64_t sent = 0, arrived = now();
  long serial = 0;
  for (int i = 1; i < 20; i++) sent = sent * 10 + (at[i] - '0');
  for (int i = 21; i < STAMP; i++) serial = serial * 10 + (at[i] - '0');
  if (serial < 0 || serial >= nmsg) return;
  unsigned char *mark = &seen[serial * nconn + c->index];
  if ((*mark)++) {
    n_duplicate++;
    return;
  }
  latency_us[n_delivered++] = (arrived - sent) / 1000;
  if (!first_sent || sent < first_sent) first_sent = sent;
  last_arrived = arrived;
}
static size_t take_frame(Conn *c, unsigned char *p, size_t have) { // bytes used, 0 if the frame is not all there
  if (have < 2) return 0;
  size_t n = p[1] & 127, head = n == 126 ? 4 : n == 127 ? 10 : 2;
  if (have < head) return 0;
  if (head > 2) n = 0;
  for (size_t i = 2; i < head; i++) n = n << 8 | p[i];
  if (have < head + n) return 0;
  int opcode = p[0] & 15;
  if (opcode == 1) on_text(c, p + head, n);
  if (opcode == 9 && conn_write(c, (unsigned char[]){0x8a, 0x80, 0, 0, 0, 0}, 6) < 0) perror("wsload: pong");
  return head + n;
}

// Polling: one kept connection each, on which a GET waits for packets and a POST brings what there is to say first.

static void poll_next(Conn *c) {
  char request[MAX_TEXTS * MAX_REPLY + 8192];
  size_t n = c->post ? strlen(c->post) : 0;
  int k = n ? snprintf(request, sizeof request,
                       "POST%s\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: %zu\r\n\r\n%s", c->poll + 3,
                       n, c->post)
            : snprintf(request, sizeof request, "%s\r\n\r\n", c->poll);
  free(c->post);
  c->post = NULL;
  if (conn_write(c, request, k) != k) perror("wsload: poll");
}
static void on_opened(Conn *c, const char *packet) {
  const char *sid = strstr(packet, "\"sid\":\"");
  if (!sid) die("no session in %.100s", packet);
  sid += 7;
  if (asprintf(&c->poll, "GET %s&sid=%.*s HTTP/1.1\r\nHost: %s:%ld\r\nOrigin: http://localhost", path,
               (int)strcspn(sid, "\""), sid, host, port) < 0)
    die("no memory");
  c->open = 1;
  n_open++;
}
static size_t take_answer(Conn *c, unsigned char *p, size_t have) { // bytes used, 0 if the answer is not all there
  unsigned char *end = memmem(p, have, "\r\n\r\n", 4);
  if (!end) return 0;
  *end = 0; // the head is text now
  const char *length = strcasestr((char *)p, "\r\ncontent-length:");
  size_t head = end + 4 - p, n = length ? strtoul(length + 17, NULL, 10) : 0;
  int good = length && !memcmp(p, "HTTP/1.1 200", 12);
  if (!good) fprintf(stderr, "wsload: poll answered: %.200s\n", p);
  *end = '\r';
  if (have < head + n) return 0;
  unsigned char *text = p + head, *stop = text + n;
  if (good && !(n == 2 && !memcmp(text, "ok", 2))) { // which answers a POST
    if (!c->open) {
      char packet[512] = "";
      memcpy(packet, text, n < sizeof packet ? n : sizeof packet - 1);
      on_opened(c, packet);
    }
    while (text < stop) {
      unsigned char *next = memchr(text, '\x1e', stop - text);
      if (!next) next = stop;
      on_text(c, text, next - text);
      text = next + 1;
    }
  }
  if (good) poll_next(c);
  else conn_close(c);
  return head + n;
}
static void on_readable(Conn *c) {
  for (;;) {
    if (c->cap - c->have < 4096) c->buf = realloc(c->buf, c->cap = c->cap * 2 + 4096);
    size_t room = c->cap - c->have, used = 0, n;
    ssize_t r = conn_read(c, c->buf + c->have, room);
    if (r < 0 && errno == EAGAIN) break;
    if (r <= 0) return conn_close(c);
    c->have += r;
    if (!polling && !c->open) {
      unsigned char *end = memmem(c->buf, c->have, "\r\n\r\n", 4);
      if (!end) continue;
      if (memcmp(c->buf, "HTTP/1.1 101", 12)) {
        fprintf(stderr, "wsload: handshake refused: %.*s\n", (int)(c->have < 200 ? c->have : 200), c->buf);
        return conn_close(c);
      }
      used = end + 4 - c->buf;
      c->open = 1;
      n_open++;
      for (int i = 0; i < nsubs; i++) send_text(c, subs[i]);
    }
    while (c->fd >= 0 && (n = (polling ? take_answer : take_frame)(c, c->buf + used, c->have - used))) used += n;
    if (c->fd < 0) return;
    memmove(c->buf, c->buf + used, c->have -= used);
    if (!c->ssl && (size_t)r < room) break;
  }
  if (!c->have) { // thousands of idle connections need no buffers
    free(c->buf);
    c->buf = NULL;
    c->cap = 0;
  }
}

// The publisher: `parallel` keep-alive connections used in turn, each with one request under way at most. One thread
// does it; over TLS, where a handshake is waited for and must not hold up the others, each connection has its own.

typedef struct {
  int fd, busy;
  SSL *ssl;
  SSL_SESSION *session; // taken up again by the next connection, as a client that knows the server does
} Line;

static void line_open(Line *l) {
  l->fd = dial(0);
  l->ssl = shake_hands(l->fd, l->session);
  struct timeval patience = {timeout_s, 0};
  setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}
static void line_close(Line *l) {
  if (l->ssl) {
    SSL_SESSION_free(l->session);
    l->session = SSL_get1_session(l->ssl);
    SSL_set_shutdown(l->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); // or the session would count as broken
    SSL_free(l->ssl);
  }
  close(l->fd);
}
static void hex(const unsigned char *bytes, int n, char *out) {
  for (int i = 0; i < n; i++) sprintf(out + 2 * i, "%02x", bytes[i]);
}
static void target(char *out, size_t room, const char *body, size_t n) { // signed as Pusher's HTTP API wants it
  if (!app_secret) {
    snprintf(out, room, "%s", pub_path);
    return;
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  char md5[33], signature[65], query[512], text[1024];
  EVP_Digest(body, n, digest, NULL, EVP_md5(), NULL);
  hex(digest, 16, md5);
  snprintf(query, sizeof query, "auth_key=%s&auth_timestamp=%ld&auth_version=1.0&body_md5=%s", app_key, (long)time(0),
           md5);
  int k = snprintf(text, sizeof text, "POST\n%s\n%s", pub_path, query);
  HMAC(EVP_sha256(), app_secret, strlen(app_secret), (unsigned char *)text, k, digest, NULL);
  hex(digest, 32, signature);
  snprintf(out, room, "%s?%s&auth_signature=%s", pub_path, query, signature);
}
static void line_ask(Line *l, const char *body, size_t n) {
  static _Thread_local char request[1 << 17];
  char url[2048];
  target(url, sizeof url, body, n);
  int k = snprintf(request, sizeof request,
                   "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
                   url, host, pub_close ? "Connection: close\r\n" : "", n, body);
  if ((l->ssl ? SSL_write(l->ssl, request, k) : write(l->fd, request, k)) != k) pub_errors++;
  l->busy = 1;
}
static void line_answer(Line *l) { // reads one whole answer; a server that closes after it ends it by closing
  char answer[65536];
  size_t have = 0;
  for (;;) {
    size_t room = sizeof answer - 1 - have;
    ssize_t r = l->ssl ? SSL_read(l->ssl, answer + have, room) : read(l->fd, answer + have, room);
    if (r <= 0) {
      if (!have || !pub_close) pub_errors++;
      break;
    }
    have += r;
    answer[have] = 0;
    char *end = strstr(answer, "\r\n\r\n");
    if (!end || pub_close) continue;
    char *length = strcasestr(answer, "\r\ncontent-length:");
    if (length ? have >= (size_t)(end + 4 - answer) + atol(length + 17) : strstr(end, "0\r\n\r\n") != NULL) break;
  }
  if (have && (have < 12 || memcmp(answer + 9, "20", 2)) && !pub_errors++)
    fprintf(stderr, "wsload: publish answered: %.300s\n", answer);
  l->busy = 0;
}
static size_t fill(char *body, int64_t stamp, long serial) {
  char *out = body;
  for (const char *in = pub_body; *in;) {
    if (!strncmp(in, "%T%", 3)) {
      out += sprintf(out, "@%019lld#%08ld", (long long)stamp, serial);
      in += 3;
    } else if (!strncmp(in, "%P%", 3)) {
      memset(out, 'x', size - STAMP);
      out += size - STAMP;
      in += 3;
    } else *out++ = *in++;
  }
  *out = 0;
  return out - body;
}
static void *publish(void *which) {
  static _Thread_local char body[1 << 16];
  int first = *(int *)which, step = tls ? parallel : 1, mine = tls ? 1 : parallel;
  Line lines[MAX_PARALLEL] = {0};
  while (!go && !stop) usleep(1000);
  if (!go) return NULL;
  for (int i = 0; i < mine; i++) line_open(&lines[i]);
  int64_t start = now();
  for (long m = first; m < nmsg && !stop; m += step) {
    Line *l = &lines[m / step % mine];
    int64_t stamp = 0;
    if (l->busy) {
      line_answer(l);
      if (pub_close) {
        line_close(l);
        line_open(l);
      }
    }
    if (rate > 0) { // an open loop: the stamp says when it was due, so that what waits for a stalled server counts too
      stamp = start + (int64_t)(m * 1e9 / rate);
      struct timespec due = {stamp / 1000000000, stamp % 1000000000};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    } else stamp = now();
    n_sent++;
    line_ask(l, body, fill(body, stamp, m));
  }
  for (int i = 0; i < mine; i++) {
    if (lines[i].busy) line_answer(&lines[i]);
    line_close(&lines[i]);
  }
  n_publishing--;
  return NULL;
}

// Options

enum { IS_TEXT, IS_COUNT, IS_RATE, IS_FLAG, IS_SUB, IS_REPLY };
static const struct {
  const char *name;
  int kind;
  void *target;
  const char *what;
} options[] = {
    {"host", IS_TEXT, &host, "IPv4 address of the server (127.0.0.1)"},
    {"port", IS_COUNT, &port, "its port (8080)"},
    {"tls", IS_FLAG, &tls, "speak TLS to it, for both purposes"},
    {"path", IS_TEXT, &path, "path and query of the WebSocket"},
    {"sub", IS_SUB, subs, "text to send once open; may be repeated"},
    {"reply", IS_REPLY, replies, "START=TEXT: answer a text that begins with START; may be repeated"},
    {"polling", IS_FLAG, &polling, "poll as Engine.IO 4 does; --path without its session; replies are posted"},
    {"beat", IS_RATE, &beat_s, "seconds between two pings of Engine.IO 3 (0: none)"},
    {"ready", IS_TEXT, &ready_text, "text that says a connection is subscribed"},
    {"conns", IS_COUNT, &nconn, "subscribers (100)"},
    {"sources", IS_COUNT, &sources, "local addresses 127.0.0.2… to connect from (1)"},
    {"settle-ms", IS_COUNT, &settle_ms, "pause between the last subscription and the first publish (500)"},
    {"pub-path", IS_TEXT, &pub_path, "path to POST to"},
    {"pub-body", IS_TEXT, &pub_body, "what to POST; %T% is the stamp, %P% the padding"},
    {"pub-close", IS_FLAG, &pub_close, "a connection for each POST, for servers that close it"},
    {"app-key", IS_TEXT, &app_key, "Pusher key and …"},
    {"app-secret", IS_TEXT, &app_secret, "… secret to sign each POST with"},
    {"msgs", IS_COUNT, &nmsg, "publishes, at most; 0 only connects and subscribes (100)"},
    {"size", IS_COUNT, &size, "bytes of %T% and %P% together (128)"},
    {"parallel", IS_COUNT, &parallel, "publishes under way at once (1)"},
    {"rate", IS_RATE, &rate, "publishes a second, whatever the server does (0: as fast as it answers)"},
    {"on-cue", IS_FLAG, &on_cue, "say \"ready\", publish from a line of standard input on until it ends, say \"done\""},
    {"pid", IS_COUNT, &server_pid, "process of the server, for its CPU time and memory"},
    {"timeout", IS_COUNT, &timeout_s, "seconds for all connections, and again for all deliveries (60)"},
};
enum { N_OPTIONS = sizeof options / sizeof *options };

static double own_seconds(void) {
  struct rusage mine;
  getrusage(RUSAGE_SELF, &mine);
  return mine.ru_utime.tv_sec + mine.ru_stime.tv_sec + (mine.ru_utime.tv_usec + mine.ru_stime.tv_usec) / 1e6;
}
static double number(const char *name, const char *text, int whole) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end || value < 0 || (whole && value != (long)value))
    die("--%s wants a number, not \"%s\"", name, text);
  return value;
}
static void read_options(int argc, char **argv) {
  struct option known[N_OPTIONS + 2] = {{"help", no_argument, NULL, N_OPTIONS}};
  for (int i = 0; i < N_OPTIONS; i++)
    known[i + 1] = (struct option){options[i].name, options[i].kind != IS_FLAG, NULL, i};
  for (int i; (i = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    if (i == '?') exit(2);
    if (i == N_OPTIONS) {
      for (int k = 0; k < N_OPTIONS; k++) printf("--%-12s %s\n", options[k].name, options[k].what);
      exit(0);
    }
    void *at = options[i].target;
    switch (options[i].kind) {
    case IS_TEXT: *(const char **)at = optarg; break;
    case IS_COUNT: *(long *)at = number(options[i].name, optarg, 1); break;
    case IS_RATE: *(double *)at = number(options[i].name, optarg, 0); break;
    case IS_FLAG: *(int *)at = 1; break;
    case IS_SUB:
      if (nsubs == MAX_TEXTS || strlen(optarg) > MAX_TEXT)
        die("--sub: at most %d, of %d bytes each", MAX_TEXTS, MAX_TEXT);
      subs[nsubs++] = optarg;
      break;
    case IS_REPLY:
      if (nreplies == MAX_TEXTS || !strchr(optarg, '=') || strlen(optarg) > MAX_REPLY)
        die("--reply: at most %d, START=TEXT of %d bytes each", MAX_TEXTS, MAX_REPLY);
      replies[nreplies++] = optarg;
    }
  }
  if (optind < argc) die("what is \"%s\"? Quote values that hold spaces", argv[optind]);
  if (nconn < 1 || sources < 1) die("--conns and --sources are at least 1");
  if (parallel < 1 || parallel > MAX_PARALLEL) die("--parallel is 1 to %d", MAX_PARALLEL);
  if (size < STAMP || size > 30000 || strlen(pub_body) > 4000)
    die("--size is %d to 30000, --pub-body up to 4000", STAMP);
  if (nmsg && !strstr(pub_body, "%T%")) die("--pub-body holds no %%T%%");
  if (!app_key != !app_secret) die("--app-key and --app-secret go together");
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}
static double percentile_ms(int hundredths) {
  if (!n_delivered) return 0;
  long i = n_delivered * hundredths / 10000;
  return latency_us[i < n_delivered ? i : n_delivered - 1] / 1e3;
}
static int cue(void) { // 0 nothing new, 1 a line came, -1 standard input ended
  struct pollfd input = {.fd = 0, .events = POLLIN};
  char text[256];
  if (poll(&input, 1, 0) < 1) return 0;
  return read(0, text, sizeof text) > 0 ? 1 : -1;
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (tls) {
    ssl_context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(ssl_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ssl_context, 1); // a record in one system call
  }
  latency_us = calloc(nconn * nmsg + 1, sizeof *latency_us);
  seen = calloc(nconn * nmsg + 1, 1);
  Conn *conns = calloc(nconn, sizeof *conns);
  if (!latency_us || !seen || !conns) die("not enough memory for --conns × --msgs");
  char request[4096];
  snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%ld\r\nOrigin: http://localhost\r\n%s\r\n", path, host,
           port,
           polling ? ""
                   : "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Version: 13\r\n");
  ep = epoll_create1(0);
  pthread_t publishers[MAX_PARALLEL];
  int numbers[MAX_PARALLEL];
  n_publishing = tls ? parallel : 1;
  for (int i = 0, all = n_publishing; i < all; i++) {
    numbers[i] = i;
    if (pthread_create(&publishers[i], NULL, publish, &numbers[i])) die("no thread to publish");
  }

  long dialled = 0, beaten = 0, kb_before = server_pid ? pss_kb(server_pid) : 0, kb_after = 0;
  double cpu_before = server_pid ? cpu_seconds(server_pid) : 0, cpu_connected = cpu_before, cpu_go = 0,
         own_go = 0;
  int64_t start = now(), since = start, connected = 0;
  struct epoll_event events[512];
  for (int asked = 0;;) {
    for (int i = 0; i < 32 && dialled < nconn && dialled - n_open - n_refused < 128; i++, dialled++)
      conn_open(&conns[dialled], dialled, request);
    int n = epoll_wait(ep, events, 512, connected ? 10 : 1);
    for (int i = 0; i < n; i++) on_readable(events[i].data.ptr);
    int64_t t = now();
    if (t - since > timeout_s * 1000000000LL) break;
    if (!connected && (ready_text ? n_ready : n_open) + n_refused + n_closed >= nconn) {
      connected = t;
      if (server_pid) cpu_connected = cpu_seconds(server_pid);
    }
    if (!connected) continue;
    for (; beat_s > 0 && beaten < (t - connected) / 1e9 / beat_s * nconn; beaten++) // spread, as real clients are
      if (conns[beaten % nconn].open && conns[beaten % nconn].fd >= 0) send_text(&conns[beaten % nconn], "2");
    if (!asked && t - connected > settle_ms * 1000000LL) {
      if (server_pid) kb_after = pss_kb(server_pid);
      if (!nmsg) break;
      asked = 1;
      if (on_cue) fputs("ready\n", stderr);
    }
    int word = asked && on_cue ? cue() : 0;
    if (word < 0) stop = 1;
    if (asked && !go) since = t; // waiting for the cue is no fault of the server
    if (asked && !go && (!on_cue || word)) {
      if (server_pid) cpu_go = cpu_seconds(server_pid);
      own_go = own_seconds();
      go = 1;
    }
    if (!n_publishing && n_delivered >= (n_open - n_closed) * n_sent) break;
  }
  stop = 1;
  if (on_cue) fputs("done\n", stderr);

  double connect_s = connected ? (connected - start) / 1e9 : 0, secs = (last_arrived - first_sent) / 1e9;
  double cpu = server_pid && go ? cpu_seconds(server_pid) - cpu_go : 0;
  double own = own_seconds();
  long expected = nconn * n_sent;
  qsort(latency_us, n_delivered, sizeof *latency_us, by_value);
  printf("{\"open\":%ld,\"ready\":%ld,\"refused\":%ld,\"closed\":%ld,\"connect_s\":%.3f,\"conn_per_s\":%.0f,"
         "\"connect_cpu_s\":%.2f,\"kb_per_conn\":%.2f,",
         n_open, n_ready, n_refused, n_closed, connect_s, connect_s > 0 ? n_open / connect_s : 0,
         cpu_connected - cpu_before, (double)(kb_after - kb_before) / nconn);
  printf("\"sent\":%ld,\"deliveries\":%ld,\"expected\":%ld,\"duplicates\":%ld,\"pub_errors\":%ld,\"secs\":%.3f,"
         "\"deliv_per_s\":%.0f,\"server_cpu_s\":%.2f,\"us_cpu_per_deliv\":%.2f,\"client_cpu_s\":%.2f,"
         "\"client_cores\":%.2f,",
         (long)n_sent, n_delivered, expected, n_duplicate, (long)pub_errors, secs, secs > 0 ? n_delivered / secs : 0,
         cpu, n_delivered ? cpu * 1e6 / n_delivered : 0,
         own, secs > 0 ? (own - own_go) / secs : 0);
  printf("\"p50_ms\":%.2f,\"p90_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f}\n", percentile_ms(5000), percentile_ms(9000),
         percentile_ms(9900), percentile_ms(10000));
  int answered = !nmsg || (!n_publishing && !pub_errors);
  int whole = connected && !n_refused && !n_closed && answered && n_delivered == expected && !n_duplicate;
  fflush(stdout);
  _exit(whole ? 0 : 1); // at once: a publisher that waits for an answer still uses what exit() would take away
}
