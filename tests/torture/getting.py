"""Asks for one object again and again: `python -m tests.torture.getting ENDPOINT ID SECRET PATH SECONDS`.

Prints how many GETs a second were answered, on some connections at once.
"""

from __future__ import annotations

import sys
import threading
import time

from tests.processes import signed
from tests.rawclient import RawClient, read_response

CONNECTIONS = 4


def ask(client: RawClient, path: str, seconds: float) -> float:
    """Send GETs for a time; return how many a second were answered."""
    request = signed(client, "GET", path)
    counts = [0] * CONNECTIONS
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        with client.connect() as connection:
            while time.monotonic() < end:
                connection.sendall(request)
                assert read_response(connection).status == 200
                counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


if __name__ == "__main__":
    print(ask(RawClient(*sys.argv[1:4]), sys.argv[4], float(sys.argv[5])))
