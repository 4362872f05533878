/* A team of threads that go through the steps of a network together. */

typedef struct team team;

typedef struct {
    worker base;
    team *team;
    pthread_t id;
} member;

struct team {
    const struct job *job;
    member *members;
    int32_t threads;
    atomic_uint arrived, phase, round, stop; /* they wrap around */
    pthread_mutex_t lock;
    pthread_cond_t called;
};

typedef struct job {
    const void *images;
    float *const *outputs;
    int64_t batch;
} job;

/* All of it, for every image; after the meeting at its end nobody reads the job. */
static void do_job(member *m);

/* Spinning is short: a core that somebody else wants is given up. */
INLINE void stand_by(int *spins) {
    if (*spins < 4000) {
        ++*spins;
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    } else {
        sched_yield();
    }
}

/* Nobody goes on before all have come here. */
static __attribute__((unused)) void meet(member *m) {
    team *t = m->team;
    if (t->threads == 1)
        return;
    unsigned phase = atomic_load_explicit(&t->phase, memory_order_relaxed);
    int spins = 0;
    if (atomic_fetch_add(&t->arrived, 1) == (unsigned)t->threads - 1) {
        atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&t->phase, phase + 1, memory_order_release);
        return;
    }
    while (atomic_load_explicit(&t->phase, memory_order_acquire) == phase)
        stand_by(&spins);
}

static void *wait_for_jobs(void *argument) {
    member *m = argument;
    team *t = m->team;
    for (unsigned round = 0;;) {
        for (int spins = 0; atomic_load(&t->round) == round && spins < 4000;)
            stand_by(&spins);
        pthread_mutex_lock(&t->lock);
        while (atomic_load(&t->round) == round)
            pthread_cond_wait(&t->called, &t->lock);
        round = atomic_load(&t->round);
        pthread_mutex_unlock(&t->lock);
        if (atomic_load(&t->stop))
            return NULL;
        do_job(m);
    }
}

static void call_team(team *t) {
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->round, 1);
    pthread_cond_broadcast(&t->called);
    pthread_mutex_unlock(&t->lock);
}

static void work_together(team *t, const job *j) {
    t->job = j;
    if (t->threads > 1)
        call_team(t);
    do_job(&t->members[0]);
}

/* Ends the threads that were started. */
static void dismiss(team *t) {
    atomic_store(&t->stop, 1);
    if (t->threads > 1)
        call_team(t);
    for (int32_t i = 1; i < t->threads; i++)
        pthread_join(t->members[i].id, NULL);
    pthread_cond_destroy(&t->called);
    pthread_mutex_destroy(&t->lock);
}

/* Signals that arrive are for the caller's threads. */
static int start(member *m) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&m->id, NULL, wait_for_jobs, m);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

/* Returns 0, or what the system said; then nothing of the team is left. */
static int assemble(team *t, const worker *base, int32_t threads) {
    atomic_init(&t->arrived, 0), atomic_init(&t->phase, 0);
    atomic_init(&t->round, 0), atomic_init(&t->stop, 0);
    int failed = pthread_mutex_init(&t->lock, NULL);
    if (failed)
        return failed;
    failed = pthread_cond_init(&t->called, NULL);
    if (failed) {
        pthread_mutex_destroy(&t->lock);
        return failed;
    }
    for (int32_t i = 0; i < threads; i++) {
        t->members[i] = (member){.base = *base, .team = t};
        t->members[i].base.thread = i;
        t->members[i].base.threads = threads;
    }
    t->threads = 1;
    for (int32_t i = 1; i < threads; i++, t->threads++) {
        failed = start(&t->members[i]);
        if (failed) {
            dismiss(t);
            return failed;
        }
    }
    return 0;
}
