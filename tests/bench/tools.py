"""What the benchmarks take from the integration tests: servers, the ways to save a file, a load of
clients, and a browser.

The only place that knows where those are.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

import editors  # noqa: E402
import harness  # noqa: E402
import load  # noqa: E402
import shop  # noqa: E402
import waiting  # noqa: E402
import webdriver  # noqa: E402

__all__ = ["editors", "harness", "load", "shop", "waiting", "webdriver"]
