"""A fault as it may be written down: what it is and where it arose, without what it says."""

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent.parent
_FRAMES_SHOWN: Final = 5  # enough to tell the caller's caller; more is for a debugger


def describe(error: BaseException) -> str:
    """Say what kind of error it is and where it arose, innermost first, without its message.

    The message is left out because it may quote a personal value: `KeyError at records/body.py:40 in read <
    api/endpoints.py:81 in upsert; caused by …`.
    """
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{_short(code.co_filename)}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    said = type(error).__qualname__
    if places:
        said += " at " + " < ".join(places[: -_FRAMES_SHOWN - 1 : -1])
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return f"{said}; caused by {type(cause).__qualname__}" if cause else said


def _short(filename: str) -> str:
    """Shorten a path to what tells the place: within the package, or the last two parts of a library's."""
    path = Path(filename)
    return str(path.relative_to(_PACKAGE)) if path.is_relative_to(_PACKAGE) else "/".join(path.parts[-2:])
