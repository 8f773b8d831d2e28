"""Runs decoder.py on the files named, and says on stderr which of its lines never ran.

A line that no vector reaches is a part of the specification that none proves.
"""

import dis
import os
import runpy
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
missed = {}  # codes, and their lines, by id: to hash a code takes long


def expect(code):
    missed[id(code)] = code, {number for _, number in dis.findlinestarts(code) if number}
    for inner in code.co_consts:
        if hasattr(inner, "co_code"):
            expect(inner)


def call(frame, event, _):
    code = frame.f_code
    if code.co_name == "<module>" and os.path.dirname(code.co_filename) == HERE:
        expect(code)
    if id(code) not in missed:
        return None  # not ours, or seen throughout: run on without a trace
    return line(frame, event, _)


def line(frame, event, _):
    at = id(frame.f_code)
    if at not in missed:
        return None
    missed[at][1].discard(frame.f_lineno)
    if not missed[at][1]:
        del missed[at]
    return line


sys.settrace(call)
try:
    runpy.run_path(os.path.join(HERE, "decoder.py"), run_name="__main__")
finally:
    sys.settrace(None)
    for code, numbers in missed.values():
        for number in sorted(numbers):
            print("not reached: %s:%d" % (os.path.basename(code.co_filename), number), file=sys.stderr)
