"""Asking the doctor's own process, with a limit on how long that takes."""

from __future__ import annotations

import signal

from pydantic import ValidationError

from agent.beside import Beside, ProcessDiedError, ProcessSilentError
from agent.doctor.child import Answer, Job
from agent.doctor.finding import Finding

_CHILD = "agent.doctor.child"


def tried(what: str, job: Job, seconds: float, do: str | None = None, *, child: str = _CHILD) -> Finding:
    """What comes of a job.

    Args:
        what: name of the finding.
        job: is carried out in a process of its own.
        seconds: that it may take.
        do: the command that mends it.
        child: the module that carries it out.
    """
    try:
        with Beside(child, what, lambda: False, seconds) as process:
            process.ask(job.model_dump_json())
            answer = Answer.model_validate_json(process.answer() or b"")
    except ProcessDiedError as error:
        return Finding(what, "wrong", _crash(error), do)
    except ProcessSilentError:
        return Finding(what, "wrong", f"it did not come to an end within {seconds:g} s", do)
    except ValidationError:
        return Finding(what, "wrong", "it answered something else than what was asked for", do)
    if answer.problem:
        return Finding(what, "wrong", answer.problem, do)
    return Finding(what, "ok", answer.text)


def _crash(error: ProcessDiedError) -> str:
    words = f"; the last it said: {error.words}" if error.words else ""
    if error.code >= 0:
        return f"it ended with exit code {error.code}{words}"
    try:
        name = signal.Signals(-error.code).name
    except ValueError:  # a real-time signal has no name
        name = f"signal {-error.code}"
    memory = ", which the kernel does where memory runs out" if error.code == -signal.SIGKILL else ""
    return f"it was ended by {name}{memory}{words}"
