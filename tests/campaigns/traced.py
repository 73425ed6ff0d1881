"""A process that is killed before one of its system calls, with ptrace of Linux."""

import ctypes
import os
import signal
import sys

TRACE_ME, SYSTEM_CALL = 0, 24


def is_possible():
    """Return True if this system lets a process trace its children."""
    return sys.platform == "linux" and killed_before(0, lambda: None)


def killed_before(number, function):
    """Run ``function`` in a child that is killed before system call ``number``, from 0.

    Returns:
        True if it was killed, False if it made fewer calls and ended by itself.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    child = os.fork()
    if child == 0:
        if libc.ptrace(TRACE_ME, 0, None, None):
            os._exit(3)
        os.kill(os.getpid(), signal.SIGSTOP)
        function()
        os._exit(0)
    # each call stops the child twice, before and after
    passed, deliver = -1, 0
    while True:
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            return False
        stop = os.WSTOPSIG(status)
        if stop == signal.SIGTRAP:
            passed, deliver = passed + 1, 0
        else:
            deliver = 0 if stop == signal.SIGSTOP else stop
        if passed == 2 * number:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True
        libc.ptrace(SYSTEM_CALL, child, None, deliver)
