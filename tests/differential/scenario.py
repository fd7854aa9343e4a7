# SPDX-License-Identifier: MIT
"""Scenarios: random programs as data. Made from a seed, written as text for both players, shrunk.

The text of one, tokens with spaces between them:

    scenario SEED locks N conds N events N futures N
        sems N n.. barriers N n.. queues N (kind size)..
    task 0 { op args { ops } ... } task 1 { ... } end

Every wait has a limit, tasks await only later ones and locks are taken in order: so each ends.
Durations are all different, so that no two timers are due at the same moment, unless asked for.
"""
import collections
import random

BLOCKS = {"try": 0, "timeout": 1, "group": 0, "lock": 2, "sem": 2, "var": 2}
LISTS = {"gather": 0, "lgather": 1, "wait": 2, "ascomp": 1}
HOT = ("spawn", "lock", "sem", "srelease", "put", "get", "cwait", "cnotify")
FUTURES_FROM = 100  # in lists and for done-callbacks: the first future


class Scenario:
    def __init__(self, seed):
        self.seed = seed
        self.locks = self.conds = self.events = self.futures = 0
        self.sems, self.barriers, self.queues, self.tasks = [], [], [], []

    def text(self):
        def ops(block):
            return "{ " + "".join(op_text(op) + " " for op in block) + "}"

        def op_text(op):
            name = op[0]
            if name in BLOCKS:
                n = BLOCKS[name]
                return " ".join([name] + [num(x) for x in op[1:1 + n]] + [ops(op[1 + n])])
            if name in LISTS:
                n = LISTS[name]
                return " ".join([name] + [num(x) for x in op[1:1 + n]] +
                                [str(len(op[1 + n]))] + [str(x) for x in op[1 + n]])
            return " ".join([name] + [num(x) for x in op[1:]])

        def num(x):
            return "%.9f" % x if isinstance(x, float) else str(x)

        head = "scenario %d locks %d conds %d events %d futures %d" % (
            self.seed, self.locks, self.conds, self.events, self.futures)
        head += " sems %s barriers %s queues %s" % (
            counted(self.sems), counted(self.barriers),
            " ".join([str(len(self.queues))] + ["%d %d" % q for q in self.queues]))
        return "\n".join([head] + ["task %d %s" % (i, ops(t)) for i, t in enumerate(self.tasks)] +
                         ["end"]) + "\n"


def counted(numbers):
    return " ".join(str(x) for x in [len(numbers)] + list(numbers))


# Where an op stands: in which task, how deep in blocks, the lowest lock that may be taken, the
# kinds of blocks around it.
At = collections.namedtuple("At", "k depth low in_group in_limit")


class Maker:
    """One scenario."""

    def __init__(self, seed, ties=False):
        self.r = random.Random(seed)
        self.ties = ties
        self.s = Scenario(seed)
        self.used = set()

    def make(self):
        r, s = self.r, self.s
        s.locks, s.conds, s.events = r.randint(0, 2), r.randint(0, 1), r.randint(0, 2)
        s.futures = r.randint(0, 3)
        if self.ties:
            s.locks = r.randint(0, 1)
        s.sems = [r.randint(0, 2) for _ in range(r.randint(0, 1))]
        s.barriers = [r.randint(1, 3) for _ in range(r.randint(0, 1))]
        s.queues = [(r.randint(0, 2), r.randint(0, 2)) for _ in range(r.randint(0, 2))]
        self.count = r.randint(1, 7)
        s.tasks = [self.block(At(k, 0, 0, False, False), 2, 9) for k in range(self.count)]
        if self.count > 1:  # most tasks shall be there
            s.tasks[0][0:0] = [("spawn", k) for k in range(1, self.count) if r.random() < 0.6]
        return s

    def time(self, most=3.0):
        if self.ties:
            return self.r.randint(1, int(most)) / 2.0
        while True:
            t = self.r.randint(1, int(most * 1000)) / 1000.0 + self.r.randint(1, 999999) / 1e9
            if t not in self.used:
                self.used.add(t)
                return t

    def limit(self):
        return self.time(5.0)

    def later(self, k):
        return self.r.randint(k + 1, self.count - 1)

    def several(self, k):
        return sorted(self.r.sample(range(k + 1, self.count),
                                    self.r.randint(1, self.count - 1 - k)))

    def mixed(self, k):
        """Later tasks and futures, at least one."""
        all_of_them = list(range(k + 1, self.count)) + self.all_futures()
        return sorted(self.r.sample(all_of_them, self.r.randint(1, min(6, len(all_of_them)))))

    def all_futures(self):
        return [FUTURES_FROM + i for i in range(self.s.futures)]

    def block(self, at, fewest, most):
        return [self.op(at) for _ in range(self.r.randint(fewest, most))]

    def op(self, at):
        r, s = self.r, self.s
        has_later = at.k + 1 < self.count
        kinds = [("sleep", 6), ("yield", 6), ("soon", 2), ("later", 1), ("at", 1), ("hcancel", 1),
                 ("cancelling", 1), ("uncancel", 1), ("alltasks", 1), ("vset", 1), ("vget", 2),
                 ("dadd", 2), ("ddel", 1), ("raise", 1), ("ret", 1)]
        if has_later:
            kinds += [("spawn", 8), ("espawn", 4), ("await", 5), ("waitfor", 3), ("shield", 2),
                      ("cancel", 4), ("lcancel", 1), ("gather", 3), ("done", 2)]
        if has_later or s.futures:
            kinds += [("wait", 3), ("lgather", 2), ("ascomp", 2)]
            if at.in_group:
                kinds += [("gspawn", 14)]
        if at.depth < 4:
            kinds += [("try", 3), ("timeout", 3), ("var", 1)]
            if has_later:
                kinds += [("group", 3)]
            if at.low < s.locks:
                kinds += [("lock", 4)]
            if s.sems and at.low == 0:
                kinds += [("sem", 3)]
        if at.in_limit:
            kinds += [("resched", 2), ("expired", 1)]
        kinds += [("srelease", 1)] if s.sems else []
        kinds += [("eset", 2), ("eclear", 1), ("ewait", 3)] if s.events else []
        kinds += [("cwait", 3), ("cnotify", 3), ("cwaitf", 1), ("cready", 1)] if s.conds else []
        kinds += [("bwait", 5), ("breset", 1), ("babort", 1)] if s.barriers else []
        kinds += [("put", 4), ("get", 4), ("putn", 2), ("getn", 2), ("tdone", 1),
                  ("qjoin", 1)] if s.queues else []
        kinds += [("fset", 2), ("ffail", 1), ("fcancel", 1), ("fawait", 2),
                  ("fown", 2)] if s.futures else []
        hot = 4 if self.ties else 1
        name = r.choices([x for x, _ in kinds], [w * hot if x in HOT else w for x, w in kinds])[0]
        return getattr(self, "make_" + name, self.make_plain)(name, at)

    def make_plain(self, name, _):
        return (name,)

    def make_sleep(self, name, _):
        return (name, self.time())

    def make_soon(self, name, _):
        return (name, self.r.randint(0, 9))

    make_hcancel = make_soon

    def make_raise(self, name, _):
        return (name, self.r.randint(0, 99))

    make_ret = make_raise

    def make_later(self, name, _):
        return (name, self.time(), self.r.randint(0, 9))

    make_at = make_later

    def make_resched(self, name, _):
        return (name, self.r.choice([self.time(), self.time(), 0.0, -1.0]))

    # ---- variables ----
    def make_vget(self, name, _):
        return (name, self.r.randint(0, 1))

    def make_vset(self, name, _):
        return (name, self.r.randint(0, 1), self.r.randint(1, 99))

    # ---- tasks ----
    def make_spawn(self, name, at):
        return (name, self.later(at.k))

    make_espawn = make_gspawn = make_await = make_shield = make_done = make_spawn

    def make_cancel(self, name, _):
        return (name, self.r.randint(0, self.count - 1))

    def make_lcancel(self, name, _):
        return (name, self.time(), self.r.randint(0, self.count - 1))

    def make_uncancel(self, name, at):
        return (name, self.r.choice([at.k, self.r.randint(0, self.count - 1)]))

    def make_waitfor(self, name, at):
        return (name, self.later(at.k), 0.0 if self.r.random() < 0.1 else self.limit())

    def make_dadd(self, name, _):
        things = list(range(self.count)) + self.all_futures()
        return (name, self.r.choice(things), self.r.randint(0, 3))

    make_ddel = make_dadd

    def make_gather(self, name, at):
        return (name, self.several(at.k))

    def make_lgather(self, name, at):
        return (name, self.limit(), self.mixed(at.k))

    make_ascomp = make_lgather

    def make_wait(self, name, at):
        return (name, self.r.randint(0, 2), self.limit(), self.mixed(at.k))

    # ---- blocks ----
    def inner(self, at, most, fewest=1, **changes):
        return self.block(at._replace(depth=at.depth + 1, **changes), fewest, most)

    def make_try(self, name, at):
        return (name, self.inner(at, 4))

    def make_var(self, name, at):
        return (name, self.r.randint(0, 1), self.r.randint(1, 99), self.inner(at, 4))

    def make_timeout(self, name, at):
        return (name, self.limit(), self.inner(at, 4, in_limit=True))

    def make_group(self, name, at):
        return (name, self.inner(at, 5, in_group=True))

    def make_lock(self, name, at):
        i = self.r.randint(at.low, self.s.locks - 1)
        return (name, i, self.limit(), self.inner(at, 3, 0, low=i + 1))

    def make_sem(self, name, at):
        return (name, 0, self.limit(), self.inner(at, 3, 0, low=self.s.locks + 1))

    # ---- events, conditions, barriers ----
    def make_srelease(self, name, _):
        return (name, 0)

    def make_eset(self, name, _):
        return (name, self.r.randrange(self.s.events))

    make_eclear = make_eset

    def make_ewait(self, name, _):
        return (name, self.r.randrange(self.s.events), self.limit())

    def make_cwait(self, name, _):
        return (name, 0, self.limit())

    make_cwaitf = make_bwait = make_breset = make_babort = make_cwait

    def make_cnotify(self, name, _):
        return (name, 0, self.r.randint(0, 3), self.limit())

    def make_cready(self, name, _):
        return (name, 0, self.r.randint(0, 1), self.limit())

    # ---- queues ----
    def make_put(self, name, _):
        return (name, self.r.randrange(len(self.s.queues)), self.r.randint(0, 9), self.limit())

    def make_putn(self, name, _):
        return (name, self.r.randrange(len(self.s.queues)), self.r.randint(0, 9))

    def make_get(self, name, _):
        return (name, self.r.randrange(len(self.s.queues)), self.limit())

    make_qjoin = make_get

    def make_getn(self, name, _):
        return (name, self.r.randrange(len(self.s.queues)))

    make_tdone = make_getn

    # ---- futures ----
    def make_fset(self, name, _):
        return (name, self.r.randrange(self.s.futures), self.r.randint(0, 99))

    make_ffail = make_fset

    def make_fcancel(self, name, _):
        return (name, self.r.randrange(self.s.futures))

    def make_fawait(self, name, _):
        return (name, self.r.randrange(self.s.futures), self.limit())

    make_fown = make_fawait


def make(seed, ties=False):
    """With ties many things are due at the same moments: where the order is not compared."""
    return Maker(seed, ties).make()


def smaller(scenario):
    """All scenarios with one op less, or with a block replaced by what is in it."""
    def variants(block):
        for i, op in enumerate(block):
            yield block[:i] + block[i + 1:]
            if op[0] in BLOCKS:
                at = 1 + BLOCKS[op[0]]
                yield block[:i] + op[at] + block[i + 1:]
                for inner in variants(op[at]):
                    yield block[:i] + [op[:at] + (inner,)] + block[i + 1:]

    for k, task in enumerate(scenario.tasks):
        for block in variants(task):
            less = Scenario(scenario.seed)
            less.__dict__.update(scenario.__dict__)
            less.tasks = scenario.tasks[:k] + [block] + scenario.tasks[k + 1:]
            yield less
