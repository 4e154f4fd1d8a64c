"""What every test shares: property tests look at the same examples every time, so that a red run is
red again; the long runs (`QUORATE_SOAK=1`) look at new ones. Ctrl-C reaches what they start, also
when they are started in the background of a shell, which has its children ignore it.
"""

from __future__ import annotations

import os
import signal

from hypothesis import settings

settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile("soak", deadline=None, print_blob=True)
settings.load_profile("soak" if os.environ.get("QUORATE_SOAK") == "1" else "same")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
