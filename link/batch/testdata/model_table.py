"""The rows of a table: package model, "Decisions", "Numbers of a model", "Rows" and "Values"."""

import array
import collections

from model import M32, SQUASHED, STRETCHED, Bit, Number
from model_form import INTEGER, Form, Kind, learn, magnitude, size, wrap

CLASSES, CONTEXTS = 24, 6
OWN_CONTEXTS = 5  # of the column alone
ASLEEP = 255
RATE = [(1 << 17) // (2 * n + 3) for n in range(121)]
TRUST = [512 * min(n, 15) // (2 * min(n, 15) + 1) for n in range(121)]


def hashed(a, b):
    """The specification's H."""
    h = (a * 0x9E3779B1 ^ b * 0x85EBCA6B) & M32
    return h ^ h >> 15


def hashed64(a, v):
    """The specification's L."""
    return hashed(hashed(a, v & M32), v >> 32 & M32)


def short(v, behind):
    """Tells numbers apart that are small, and by size and the bits behind the first."""
    sign, v = 65536 if v < 0 else 0, abs(v)
    n = v.bit_length()
    if n <= behind:
        return sign + v
    return sign + (n << behind) + (v >> n - 1 - behind & (1 << behind) - 1)


def rough(v):
    return short(v, 2)


def fine(v):
    return short(v, 3)


class Usual:
    """The usual size of numbers, and the last one."""

    def __init__(self, mean=256):
        self.mean, self.last = mean, 0

    def size(self):
        return max(self.mean + 128 >> 8, 1)

    def add(self, v):
        self.mean += 256 * size(v) - self.mean >> 3
        self.last = v


class Model:
    """What a column that has changed has learnt, but for its slots."""

    def __init__(self, column, number, last):
        self.column = column
        self.form, self.salt = Form(), number * 0x85EBCA6B & M32
        self.cells, self.learn_at = 0, 2
        self.window = collections.deque(maxlen=512)
        self.same = 0
        self.inexact = Bit()
        self.weights = [[0] * CONTEXTS for _ in range(CLASSES)]
        self.begin([last])
        self.usual = Usual()

    def begin(self, raws):
        if self.form.drifts:
            self.form = self.form._replace(offset=wrap(self.form.grid(self.column, raws[-1]) << 16))
        last = [raws[max(len(raws) - 1 - back, 0)] for back in range(3)]
        k0, k1, k2 = (self.form.near(self.form.grid(self.column, raw)) for raw in last)
        self.last, self.d1, self.d2 = k0, wrap(k0 - k1), wrap(k1 - k2)
        self.short = self.long = wrap(16 * k0)
        self.errors = [0] * 4
        self.usual = Usual(256 * size(self.d1))
        self.rests, self.fines = Usual(), Usual()
        self.leaks = 0

    def rate(self):
        return 14 if self.cells < 64 else 15 if self.cells < 2048 else 16

    def centres(self):
        return self.last, wrap(self.last + self.d1), self.short >> 4, self.long >> 4

    def centre(self):
        """The one of the centres that has been best."""
        e, centres = self.errors, self.centres()
        best, least = 0, e[0] - (e[0] >> 3)
        if e[1] < least:
            best, least = 1, e[1] - (e[1] >> 3)
        for i in (2, 3):
            if e[i] < least:
                best, least = i, e[i]
        return centres[best]

    def add(self, k):
        for i, centre in enumerate(self.centres()):
            off = wrap(min(magnitude(wrap(k - centre)), 1 << 40) * 256)
            self.errors[i] += off - self.errors[i] >> 7
        self.d1, self.d2, self.last = wrap(k - self.last), self.d1, k
        self.short = wrap(self.short + (wrap(16 * k - self.short) >> 2))
        self.long = wrap(self.long + (wrap(16 * k - self.long) >> 5))

    def learn(self, raw):
        self.window.append(raw)
        self.cells += 1
        if self.cells != self.learn_at:
            return
        self.learn_at += min(self.learn_at, 1024)
        raws = list(self.window)
        form = learn(self.column, self.form, raws)
        if form != self.form:
            self.form = form
            self.salt = self.salt + 0x9E3779B1 & M32
            self.begin(raws)


class Column:
    def __init__(self, kind):
        self.kind, self.mask = kind, (1 << kind.width) - 1
        self.last, self.model = None, None
        self.wakes = Bit()


class Table:
    """columns have a kind and a width in bits each."""

    def __init__(self, columns, slots):
        self.columns = [Column(Kind(*c)) for c in columns]
        self.slots = slots  # log2 of those that a model adds at most
        self.first = Number()
        self.p, self.n, self.check = array.array("H"), bytearray(), bytearray()
        self.evicted = self.models = 0
        self.weights = [[19660] * CONTEXTS for _ in range(CLASSES)]

    def row(self, coder, skip=None):
        """The raw bits of the next row; those of cells to be skipped are 0."""
        self.coder, self.neighbour = coder, 0
        self.grow()
        return [0 if skip and skip[i] else self.cell(c) for i, c in enumerate(self.columns)]

    def grow(self):
        slots = len(self.n)
        if self.evicted > slots and slots * 2 <= self.models << self.slots:
            self.p, self.n, self.check = self.p * 2, self.n * 2, self.check * 2
            self.evicted = 0

    def cell(self, c):
        awake = c.model and c.model.same < ASLEEP
        if c.last is None:
            c.last = self.first.code(self.coder) & c.mask
        elif awake or c.wakes.code(self.coder):
            c.model = c.model or self.new_model(c)
            self.model = m = c.model
            c.last = self.value(c, m, awake)
            m.learn(c.last)
        else:
            self.neighbour = 1
        return c.last

    def new_model(self, c):
        if not self.models:
            slots = 1 << min(self.slots, 12)
            self.p, self.n, self.check = array.array("H", bytes(2 * slots)), bytearray(slots), bytearray(slots)
        self.models += 1
        return Model(c.kind, self.models, c.last)

    def value(self, c, m, awake):
        """The raw bits of a cell; it has changed if it isn't awake."""
        centre, same = m.centre(), min(m.same, 3)
        self.context = (
            hashed(1, same),
            hashed64(hashed64(2, m.last), wrap(centre - m.last)),
            hashed(4, rough(wrap((m.short >> 4) - centre))),
            hashed(5, self.neighbour),
            hashed(hashed(3, rough(m.d1)), rough(m.d2)),
            hashed(hashed(9, m.usual.size()), same),
        )
        if awake and not self.decide(0, 0):
            m.same += 1
            self.neighbour = 1
            m.add(m.last)
            return c.last
        m.same = 0
        return self.changed(m, centre)

    def changed(self, m, centre):
        column, form = m.column, m.form
        e = self.number(1, 1, m.usual, form.step or form.kind != INTEGER or centre != m.last)
        k = wrap(centre + e)
        self.neighbour = 2 + rough(e)
        x = form.at(k)
        if form.leak:
            four = hashed64(hashed(44, m.leaks), m.d1)
            self.only(299, hashed(41, fine(e)), hashed(42, fine(x)), hashed(43, m.leaks), four)
            leaked = self.decide(0x400000, 23)
            m.leaks = 2 * m.leaks & 15 | leaked
            x = form.leaked(x) if leaked else x
        if form.step:
            four = hashed(25, fine(wrap(k - m.last)))
            self.only(99, hashed64(22, k), hashed64(23, m.rests.last), hashed(24, fine(x)), four)
            x = wrap(x + self.number(0x100000, 12, m.rests, True))
            m.form = form.drifted(k, x)
        raw = form.value(column, x)
        if form.kind != INTEGER and m.inexact.code(self.coder):
            self.only(199, hashed(32, size(x)), hashed64(33, m.fines.last), hashed64(34, x), hashed(199, 4))
            raw = column.raw(column.ordered(raw) + self.number(0x200000, 12, m.fines, False))
        m.add(k)
        return raw

    def only(self, kind, *four):
        """Sets the contexts behind the first to four, and the last one to nothing but a kind."""
        self.context = (hashed(kind, 0), *four, hashed(kind, 5))

    def number(self, code, group, usual, can_be_zero):
        """A number around a usual size; code and group are those of its first decision."""
        if can_be_zero and not self.decide(code, group):
            usual.add(0)
            return 0
        negative = self.decide(code + 1, group + 1)
        code += 2 + (negative << 19)
        s = self.size(code, group + 2, usual.size())
        left, g = s - 1, 1
        for i in range(min(6, left)):
            left -= 1
            g = 2 * g | self.decide(code + 256 + 128 * s + 2 * g, group + 5 + i, i > 1)
        v = g << left | self.coder.bits(left)
        v = wrap(-v if negative else v)
        usual.add(v)
        return v

    def size(self, code, group, usual):
        s = usual
        if self.decide(code, group):
            while s < 64 and self.decide(code + 4 + s, group + 1):
                s += 1
            return s
        s -= 1
        while s > 1 and self.decide(code + 70 + s, group + 2):
            s -= 1
        return max(s, 1)

    def decide(self, code, group, deep=False):
        """The next bit; code and group are the specification's id and class."""
        m, p, n = self.model, self.p, self.n
        own, all_ = m.weights[group], self.weights[group]
        slots, stretched, dot = [], [], 0
        for i, h in enumerate(self.context[:1] if deep else self.context):
            at = self.slot(h, code, m.salt if i < OWN_CONTEXTS else 0)
            slots.append(at)
            stretched.append(STRETCHED[p[at] >> 4] * TRUST[n[at]] >> 8)
            dot += stretched[i] * (own[i] + all_[i])
        chance = min(max(SQUASHED[min(max(dot >> 16, -2047), 2047) + 2048], 24), 65512)
        y = self.coder.bit(chance)
        target, rate = 65535 if y else 0, m.rate()
        for i, at in enumerate(slots):
            w = stretched[i] * (target - chance) + (1 << rate - 1) >> rate
            own[i] += w
            all_[i] += w
            p[at] += (target - p[at]) * RATE[n[at]] >> 16
            n[at] = min(n[at] + 1, 120)
        return y

    def slot(self, h, code, salt):
        n, checks = self.n, self.check
        h = ((h ^ code * 0x2545F491 & M32) + salt) * 0x9E3779B1 & M32
        h = (h ^ h >> 14) * 0x85EBCA6B & M32
        first = (h >> 8) % len(n) & ~3
        check = h & 255
        places = range(first, first + 4)
        for at in places:
            if checks[at] == check and n[at]:
                return at
        least = min(places, key=n.__getitem__)
        if n[least]:
            self.evicted += 1
            for at in places:
                n[at] -= n[at] >> 2
        self.p[least], n[least], checks[least] = 32768, 0, check
        return least
