"""A stream that takes 10 000 frames of 100 levels a side a second, for minutes: is its memory flat?

    python bench/soak.py [MINUTES [FRAMES_A_SECOND]]

Prints, every half minute, what came, what the process takes of a processor, and what it holds.
Exits with 1 if anything was lost, or if it holds a megabyte more at the end than after a minute.
"""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from frames import SYMBOL

from coincall_fast import Channel, Stream

EVERY_S = 30.0
ROOM = 1 << 20


def held():
    """Bytes of memory, threads and open files."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(os.listdir("/proc/self/fd"))
    return pages * os.sysconf("SC_PAGE_SIZE"), threading.active_count(), files


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    rate = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    count = round(minutes * 60 * rate)
    errors = []
    command = [sys.executable, str(Path(__file__).parent / "flood.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"ws://127.0.0.1:{server.stdout.readline().strip()}/{count}@{rate}"
        begin_s, seen, after_a_minute = time.monotonic(), 0, None
        with Stream("futures", api_key="k", api_secret="s", ws_url=url) as stream:
            stream.on("error", errors.append)
            stream.on("gap", lambda *gap: errors.append(gap))
            stream.on(Channel.BOOK, lambda book: book.microprice)
            stream.subscribe(Channel.BOOK, SYMBOL)
            while seen < count and not errors and time.monotonic() < begin_s + minutes * 60 * 1.5:
                time.sleep(EVERY_S if seen + EVERY_S * rate < count else 1.0)
                seen = stream.store[SYMBOL].update_count
                passed_s, (memory, threads, files) = time.monotonic() - begin_s, held()
                if passed_s >= 60 and after_a_minute is None:
                    after_a_minute = memory
                print(
                    f"{passed_s:6.0f} s {seen:9} frames {time.process_time() / passed_s:6.1%} "
                    f"{memory / 1e6:7.1f} MB {threads} threads {files} files",
                    flush=True,
                )
            print(*stream.latency.book_ns(), *stream.latency.callbacks_ns(), *errors)
        server.kill()
    is_flat = after_a_minute is None or memory < after_a_minute + ROOM
    sys.exit(bool(errors) or seen != count or not is_flat)


if __name__ == "__main__":
    main()
