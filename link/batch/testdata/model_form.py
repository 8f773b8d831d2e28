"""The forms of columns and how they are learnt: package model, "Values" and "Learning the form"."""

import math
import struct
from typing import NamedTuple

from source import MASK, float_bits, signed

UNSIGNED, SIGNED, FLOAT = range(3)  # kinds of columns
INTEGER, DECIMAL, BINARY = range(3)  # kinds of forms
POWERS = [float(10**x) for x in range(23)]


def wrap(v):
    return ((v + (1 << 63)) & MASK) - (1 << 63)


def magnitude(v):
    return wrap(abs(v))


def size(v):
    return abs(v).bit_length()


def quotient(a, b):
    """a/b, rounded to zero."""
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def div(a, b):
    """a/b for b > 0, rounded to the nearest."""
    return -(wrap(b // 2 - a) // b) if a < 0 else quotient(wrap(a + b // 2), b)


class Kind(NamedTuple):
    """The type of a column."""

    kind: int
    width: int  # bits

    def ordered(self, raw):
        if self.kind == UNSIGNED:
            return wrap(raw)
        v = signed(raw, self.width)
        return v ^ (1 << self.width - 1) - 1 if self.kind == FLOAT and v < 0 else v

    def raw(self, v):
        """The inverse of ordered."""
        if self.kind == FLOAT:
            v = self.ordered(v)  # which is its own inverse
        return v & (1 << self.width) - 1

    def float(self, raw):
        return struct.unpack(">f" if self.width == 32 else ">d", raw.to_bytes(self.width // 8, "big"))[0]


class Form(NamedTuple):
    """How raw bits are made of m, and m of a step."""

    kind: int = INTEGER
    exponent: int = 0
    step: int = 0  # 0 for none
    offset: int = 0
    drifts: bool = False
    leak: int = 0  # 0 for none

    def grid(self, column, raw):
        if self.kind == INTEGER:
            return column.ordered(raw)
        v = column.float(raw)
        v *= POWERS[self.exponent] if self.kind == DECIMAL else math.ldexp(1.0, self.exponent)
        return nearest(v)

    def value(self, column, m):
        """The raw bits of m."""
        if self.kind == INTEGER:
            return column.raw(m)
        if self.kind == DECIMAL:
            return float_bits(float(m) / POWERS[self.exponent], column.width // 8)
        return float_bits(float(m) * math.ldexp(1.0, -self.exponent), column.width // 8)

    def at(self, k):
        return wrap(self.offset + k * self.step + 32768) >> 16 if self.step else k

    def near(self, m):
        return div(wrap((m << 16) - self.offset), self.step) if self.step else m

    def leaked(self, m):
        return wrap(m - (wrap(m * self.leak + (1 << 29)) >> 30))

    def split(self, m):
        """The step of m, and whether it leaked."""
        k = self.near(m)
        if self.leak:
            j = self.near(wrap(m + quotient(wrap(m * self.leak), (1 << 30) - self.leak)))
            if magnitude(wrap(m - self.leaked(self.at(j)))) < magnitude(wrap(m - self.at(k))):
                return j, True
        return k, False

    def drifted(self, k, m):
        return self._replace(offset=wrap((m << 16) - k * self.step)) if self.drifts else self


def nearest(v):
    return round(v) if abs(v) < 1 << 53 else 0


def learn(column, now, raws):
    """The form that suits raws best."""
    best, least = now, cost(column, now, raws) - 3 * len(raws)
    forms = []
    if column.kind == FLOAT:
        x = decimals(column, raws)
        forms = [Form(DECIMAL, x)] if x is not None else binaries(column, raws)
    for form in (*forms, Form()):
        if form.kind == INTEGER and best.kind != INTEGER:
            continue
        for tried in variants(column, form, raws):
            c = cost(column, tried, raws)
            if c < least:
                best, least = tried, c
    return best


def variants(column, form, raws):
    """A form without a step, and with those that seem to be there."""
    yield form
    ms = [form.grid(column, raw) for raw in raws]
    step = find_step(ms)
    for i in (1, 2, 3):
        if step // i < 98304:
            return
        f = form._replace(step=step // i, offset=wrap(ms[0] << 16), drifts=True)
        yield f
        for fitted in (f.kind == BINARY and leaking(f, ms), fit(f, ms)):
            if fitted:
                yield fitted


def cost(column, f, raws):
    first = f.grid(column, raws[0])
    if f.drifts:
        f = f._replace(offset=wrap(first << 16))
    last = f.near(first)
    steps, rests, fines = Histogram(), Histogram(), Histogram()
    total = 6 * len(raws) if f.step else 0
    for before, raw in zip(raws, raws[1:]):
        if raw == before:
            continue
        m = f.grid(column, raw)
        k, leaked = f.split(m)
        steps.add(wrap(k - last))
        last = k
        if f.step:
            x = f.at(k)
            rests.add(wrap(m - (f.leaked(x) if leaked else x)))
            f = f.drifted(k, m)
        if f.leak:
            total += 12
        if f.kind != INTEGER:
            fines.add(wrap(column.ordered(raw) - column.ordered(f.value(column, m))))
    return total + steps.cost() + rests.cost() + fines.cost()


class Histogram:
    def __init__(self):
        self.counts, self.rest = {}, 0

    def add(self, v):
        key, n = abs(v), size(v)
        if n > 3:
            self.rest += n - 3
            key = 4 * n + (key >> n - 3 & 3)
        self.counts[v < 0, key] = self.counts.get((v < 0, key), 0) + 1

    def cost(self):
        everything = sum(self.counts.values())
        used = sum(64 - c * log(c) for c in self.counts.values())
        return 16 * self.rest + everything * log(everything or 1) + used


def log(c):
    behind = c.bit_length() - 1
    return 16 * behind + (c << 4 >> behind & 15)


def decimals(column, raws):
    limit = 1 << 24 if column.width == 32 else 1 << 53
    for x, power in enumerate(POWERS):
        f = Form(DECIMAL, x)
        values = ((raw, column.float(raw) * power) for raw in raws)
        bad = sum(not abs(v) < limit or f.value(column, nearest(v)) != raw for raw, v in values)
        if bad * 16 <= len(raws):
            return x
    return None


def binaries(column, raws):
    needs = []
    for raw in raws:
        b = float_bits(column.float(raw), 8)
        e = b >> 52 & 0x7FF
        if e not in (0, 0x7FF):
            b |= 1 << 52
            needs.append(1075 - e - ((b & -b).bit_length() - 1))
    needs.sort()
    x = needs[max(len(needs) - 1 - len(raws) // 8, 0)] if needs else 1001
    return [Form(BINARY, x)] if abs(x) <= 1000 else []


def find_step(ms):
    changes = [magnitude(wrap(m - before)) for before, m in zip(ms, ms[1:])]
    changes = sorted(d for d in changes if 0 < d < 1 << 40)
    if len(changes) < 12:
        return 0
    few = thin(changes, 128)
    tries = [d for d in (math.gcd(*changes),) if d > 1]
    for d in few:
        if len(tries) < 20 and d > 1 and (not tries or d != tries[-1]):
            tries.append(d)
    gaps = sorted(d - before for before, d in zip(few, few[1:]) if d - before > 1)
    steps = [refine(few, d << 16) for d in tries + thin(gaps, 12)]
    steps = [s for s in steps if s >= 1 << 17]
    return refine(changes, min(steps, key=lambda s: step_cost(few, s))) if steps else 0


def thin(values, n):
    return values if len(values) <= n else [values[i * len(values) // n] for i in range(n)]


def step_cost(few, step):
    total = 0
    for d in few:
        k = div(d << 16, step)
        total += log(4 * k + 1) + log(4 * abs(d - (k * step + 32768 >> 16)) + 1)
    return total


def refine(changes, step):
    a = b = 0
    for d in changes:
        if step < 1 << 16 or a > 1 << 46 or div(d << 16, step) > 1 << 20:
            break
        k = div(d << 16, step)
        if k and abs((d << 16) - k * step) <= step // 4:
            a, b = a + d, b + k
            step = (a << 16) // b
    return step if step >= 1 << 16 else 0


def fit(f, ms):
    """The form with a step and offset that leave the smallest squares; None for none."""
    ks = [0]
    if magnitude(ms[0]) >= 1 << 46:
        return None
    for before, m in zip(ms, ms[1:]):
        if magnitude(m) >= 1 << 46 or abs(m - before) >= 1 << 40:
            return None
        ks.append(ks[-1] + div(m - before << 16, f.step))
    high, low = ks.index(max(ks)), ks.index(min(ks))
    if not 0 < ks[high] - ks[low] < 1 << 20:
        return None
    step = quotient(wrap(ms[high] - ms[low] << 16), ks[high] - ks[low])
    es = [min(max(wrap((m - ms[0] << 16) - k * step), -1 << 28), 1 << 28) >> 8 for m, k in zip(ms, ks)]
    mean_k, mean_e = quotient(sum(ks), len(ms)), quotient(sum(es), len(ms))
    down = sum((k - mean_k) ** 2 for k in ks)
    more = quotient(sum((k - mean_k) * e for k, e in zip(ks, es)), (down >> 8) + 1)
    offset = wrap((ms[0] << 16) + (mean_e << 8) - mean_k * more)
    return f._replace(step=step + more, offset=offset, drifts=False) if min(step, step + more) >= 1 << 16 else None


def leaking(f, ms):
    """The form with a leak and a step to go with it; None for none."""
    if f.step < 1 << 22 or any(abs(m) >= 1 << 30 for m in ms):
        return None
    changes = [m - before for before, m in zip(ms, ms[1:])]
    step, most = f.step, 0
    for j in range(-16, 17):
        s = f.step + j * (f.step >> 10)
        n = sum(abs(d) <= s >> 12 for d, _ in close(changes, s, 8, s >> 7))
        if n > most:
            step, most = s, n
    for i in range(6):
        pairs = list(close(changes, step, 8 << i, step >> 7 + i))
        step = ratio(sum(d * k for d, k in pairs), sum(k * k for d, k in pairs), 16)
        if step < 1 << 22:
            return None
    leaks = []
    for d, m in zip(changes, ms[1:]):
        r = d - (div(d << 16, step) * step + 32768 >> 16)
        if abs(r) > step >> 24 and m != r and step >> 17 < abs(m) < (step >> 16) * 40:
            leaks.append(quotient(-r << 30, m - r))
    if len(leaks) < 16:
        return None
    f = f._replace(step=step, leak=sorted(leaks)[len(leaks) // 2])
    for _ in range(3):
        if 0 < abs(f.leak) <= 1 << 27:
            f = f._replace(leak=leak_of(f, ms))
    return f if 0 < abs(f.leak) <= 1 << 27 else None


def close(changes, step, most, near):
    """The changes that are some steps, most at most, give or take near; with the steps."""
    for d in changes:
        k = div(d << 16, step)
        if abs(k) <= most and abs((d << 16) - k * step) < near:
            yield d, k


def leak_of(f, ms):
    up = down = 0
    for before, m in zip(ms, ms[1:]):
        f = f._replace(offset=before << 16)
        k, leaked = f.split(m)
        x = f.at(k)
        if leaked and abs(m - f.leaked(x)) < f.step >> 22:
            up += (x - m) * (x >> 12)
            down += x * (x >> 12)
    return ratio(up, down, 30)


def ratio(a, b, n):
    """a/b in 2^-n."""
    q = quotient(a << n, b) if b else 0
    return q if abs(q) < 1 << 62 else 0
