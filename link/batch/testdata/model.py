"""The coder that level B is written with: package model, "Coder" and "Logits"."""

from source import need

LOOKAHEAD = 4  # bytes of a stream that are read before the first bit
ZEROS = 4  # bytes that a stream may have left out at its end
M32 = (1 << 32) - 1


class Coder:
    """Reads bits from a stream, behind which there are zeros."""

    def __init__(self, b):
        self.b, self.at = b, 0
        self.low, self.high, self.code = 0, M32, 0
        for _ in range(LOOKAHEAD):
            self.shift()
        self.low, self.high = 0, M32

    def shift(self):
        at = self.at
        need(at < len(self.b) + LOOKAHEAD + ZEROS, "a stream ends too early")
        self.low = self.low << 8 & M32
        self.high = self.high << 8 & M32 | 255
        self.code = self.code << 8 & M32 | (self.b[at] if at < len(self.b) else 0)
        self.at = at + 1

    def bit(self, p):
        """A bit that is 1 with probability p / 2^16."""
        mid = self.low + ((self.high - self.low) * (65536 - p) >> 16)
        y = self.code > mid
        if y:
            self.low = mid + 1
        else:
            self.high = mid
        while self.low >> 24 == self.high >> 24:
            self.shift()
        return int(y)

    def bits(self, n):
        """n bits of equal odds, the highest first."""
        v = 0
        for _ in range(n):
            v = v << 1 | self.bit(1 << 15)
        return v


class Bit:
    """The probability that a bit is 1, in 2^-16, and how often it came, up to 30 times."""

    def __init__(self):
        self.p, self.n = 1 << 15, 0

    def code(self, coder):
        p, slow = self.p, 2 * self.n + 3
        y = coder.bit(min(max(p, 32), 65536 - 32))
        self.p = p + (65535 - p) * 2 // slow if y else p - p * 2 // slow
        self.n = min(self.n + 1, 30)
        return y


class Number:
    """An unsigned number of up to 64 bits: how many it has, the second one, the others."""

    def __init__(self):
        self.longer = [Bit() for _ in range(64)]
        self.second = [Bit() for _ in range(64)]

    def code(self, coder):
        size = 0
        while size < 64 and self.longer[size].code(coder):
            size += 1
        if size < 2:
            return size
        second = self.second[size - 1].code(coder)
        return (2 | second) << (size - 2) | coder.bits(size - 2)


def logits():
    """The probabilities in 2^-16 of logits, in 1/256 and by the logit + 2048; and the logits of those in 2^-12."""
    step = 4278222805  # e^(-1/256) in 2^-32
    chances = [0] * 4096
    e = 1 << 30  # e^(-i/256) in 2^-30
    for i in range(2048):
        p = (1 << 46) // ((1 << 30) + e)
        chances[2048 + i], chances[2048 - i] = p, 65536 - p
        e = e * step >> 32
    chances[0] = chances[1]
    of, x = [], 1
    for q in range(4096):
        while x < 4095 and chances[x] < 16 * q + 8:
            x += 1
        of.append(x - 2048)
    return chances, of


SQUASHED, STRETCHED = logits()
