"""What our command line programs share: errors as one sentence, exit codes, logging to the terminal."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Literal

from contracts.documents import without_credentials
from contracts.errors import EdgetallyError

LogLevel = Literal["debug", "info", "warning", "error"]

_NO_MEMORY = "error: there was no memory left for it; allow this process more, or give it less to do\n"

INTERRUPTED = 130  # 128 + SIGINT, as shells count


def run_program(program: Callable[[], object]) -> int:
    """Run a command line program.

    Args:
        program: parses ``sys.argv`` and does the work; it raises SystemExit where it ends by itself.

    Returns:
        The exit code: 2 for what a person can mend (said in one sentence on stderr), 130 for Ctrl-C, 1 for a bug, or
        where memory ran out (said with the traceback, which may quote a URL).
    """
    try:
        program()
    except EdgetallyError as error:
        sys.stderr.write(f"error: {without_credentials(str(error))}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: nothing is left to say
        return 0
    except Exception as error:  # noqa: BLE001 - as Python itself would say it, but without credentials
        sys.stderr.write(without_credentials(traceback.format_exc()))
        if isinstance(error, MemoryError):
            sys.stderr.write(_NO_MEMORY)
        return 1
    return 0


class _NoCredentials(logging.Formatter):
    """Takes users and passwords of URLs out of every line, tracebacks included, whoever wrote it."""

    def format(self, record: logging.LogRecord) -> str:
        return without_credentials(super().format(record))


def log_to_stderr(level: LogLevel) -> None:
    """Log to stderr, a line an event, without credentials."""
    handler = logging.StreamHandler()
    handler.setFormatter(_NoCredentials("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
