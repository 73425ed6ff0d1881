"""Interruption of a function at one of its calls to the file system."""

import errno
import io
import os
from contextlib import contextmanager

from toolchain.atomic import exchange, left_over

CHANGES = [
    *((os, name) for name in ("mkdir", "rename", "replace", "unlink", "rmdir", "chmod", "fsync")),
    *((os, name) for name in ("open", "scandir", "stat", "lstat", "fstat", "close")),
    (io, "open"),
    (left_over, "flock"),
]


class Killed(BaseException):
    """End of the process: no later call of it has an effect, in ``finally`` neither."""


@contextmanager
def each_call(act):
    """Call ``act`` with the name of the function before each call to the file system."""
    originals = [(module, name, getattr(module, name)) for module, name in CHANGES]
    rename = exchange.renameat2

    def wrapped(name, original):
        def call(*args, **options):
            act(name)
            return original(*args, **options)

        return call

    def found():
        function = rename()
        return None if function is None else wrapped("renameat2", function)

    for module, name, original in originals:
        setattr(module, name, wrapped(name, original))
    exchange.renameat2 = found
    try:
        yield
    finally:
        exchange.renameat2 = rename
        for module, name, original in originals:
            setattr(module, name, original)


def count(function):
    """Return the names of the calls to the file system that ``function`` makes."""
    calls = []
    with each_call(calls.append):
        function()
    return calls


def killed_at(number):
    """Return an action that ends the process before a call."""
    calls = []

    def act(name):
        calls.append(name)
        # descriptors are closed when a process ends
        if len(calls) > number and name != "close":
            raise Killed

    return act


def failing_at(number, code=errno.ENOSPC, *, once=True):
    """Return an action that makes a call fail, or also all later ones."""
    calls = []

    def act(name):
        calls.append(name)
        reached = len(calls) == number + 1 if once else len(calls) > number
        if reached and name != "close":
            raise OSError(code, os.strerror(code))

    return act


def failing(function, code):
    """Return an action that makes all calls of one function fail."""

    def act(name):
        if name == function:
            raise OSError(code, os.strerror(code))

    return act


def error_of(function, kind=OSError):
    """Return the error of this kind that ``function`` raises; None without one."""
    try:
        function()
    except kind as fault:
        return fault
    return None
