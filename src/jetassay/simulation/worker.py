"""A process that makes shards: tasks come in on standard input, one JSON object a line, messages go out.

A process of its own keeps what the generators print away from standard output, and needs nothing of the caller's
`__main__`. Messages are `{"jets": n}` for progress, `{"done": counts}` and `{"error": text}`.
"""

import json
import os
import sys
from typing import Any, TextIO

from jetassay.errors import JetAssayError
from jetassay.simulation.shards import Task, counts_of, make_shard


def main() -> None:
    """Work until standard input ends."""
    messages = os.fdopen(os.dup(1), "w", buffering=1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    for line in sys.stdin:
        _serve(Task(**json.loads(line)), messages)


def _serve(task: Task, messages: TextIO) -> None:
    def say(**message: Any) -> None:
        print(json.dumps(message), file=messages, flush=True)

    try:
        there = counts_of(task)
        say(done=make_shard(task, advance=lambda jets: say(jets=jets)) if there is None else there)
    except JetAssayError as error:
        say(error=str(error))


if __name__ == "__main__":
    main()
