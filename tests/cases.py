"""One test over many cases of one behaviour: all are run, and the message names those that fail."""

import functools
import inspect

import pytest

FAILURES = (Exception, pytest.fail.Exception)


def each(names, cases):
    """Run a test once over all ``cases``, with the arguments of ``pytest.mark.parametrize``.

    For cases that check the same thing on other data (recorded vectors, seeds, chip files): they
    need no name of their own in the report until they fail. Arguments that are not in ``names``
    are fixtures, shared by all cases but for ``tmp_path``: each has an empty folder of its own.
    """
    names = names.replace(",", " ").split() if isinstance(names, str) else list(names)
    cases = [case if len(names) > 1 else (case,) for case in cases]
    assert cases, "a test needs cases"

    def over_all(check):
        @functools.wraps(check)
        def test(**fixtures):
            outcomes = [
                error_of(check, dict(zip(names, case, strict=True)) | apart(fixtures, number))
                for number, case in enumerate(cases)
            ]
            failed = {
                f"case {number}, {shown(names, cases[number])}: {shown_error(error)}": error
                for number, error in enumerate(outcomes)
                if error
            }
            if failed:
                lines = "\n".join(failed)
                raise AssertionError(
                    f"{len(failed)} of {len(cases)} cases fail:\n{lines}"
                ) from next(iter(failed.values()))

        taken = inspect.signature(check).parameters
        assert set(names) <= set(taken), f"{check.__name__} takes no {set(names) - set(taken)}"
        rest = [parameter for name, parameter in taken.items() if name not in names]
        test.__signature__ = inspect.Signature(rest)
        return test

    return over_all


def apart(fixtures, number):
    """Return the fixtures with a folder below ``tmp_path`` for the case of that number."""
    if "tmp_path" not in fixtures:
        return fixtures
    folder = fixtures["tmp_path"] / f"case{number}"
    folder.mkdir()
    return fixtures | {"tmp_path": folder}


def error_of(check, arguments):
    """Return the error that ends ``check``, or None."""
    try:
        check(**arguments)
    except FAILURES as error:
        return error
    return None


def shown(names, case):
    """Return the arguments of a case as text: by their name where they have one, else cut short."""
    values = [repr(getattr(value, "name", value))[:80] for value in case]
    return ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))


def shown_error(error):
    """Return type and message of an error on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
