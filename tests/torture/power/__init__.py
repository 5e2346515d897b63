"""Power loss: the recorded file operations of a real server, replayed with what was not synced lost, torn, reordered.

recording.py   a server under the recorder (recorder.py, calls.py, filtering.py) and a workload: trace.py
filesystem.py  what a device certainly has after each operation, and what it may have
states.py      images of it, from the kindest to the worst
looking.py     starts the store on an image, in a process of its own, and reads everything
promises.py    what had been answered until then, for the journal's judge
replay.py      all of it, over each moment of a recording
"""

from __future__ import annotations


def run(arguments: list[str]) -> int:
    """Record servers, replay what they did, and return 0 if nothing was found."""
    from tests.torture.power import command  # the recorder is of this package, and has to start quickly

    return command.run(arguments)
