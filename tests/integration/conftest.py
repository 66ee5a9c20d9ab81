"""Settings of the whole integration run."""

from __future__ import annotations

import pytest

import harness


def pytest_configure(config: pytest.Config) -> None:
    """Names the marks, and always prints why a test was skipped."""
    config.addinivalue_line(
        "markers", "slow: takes more than ten seconds (-m 'not slow' leaves them out)"
    )
    if "s" not in config.option.reportchars:
        config.option.reportchars += "s"


def pytest_report_header() -> list[str]:
    """Says which plugin and which uWSGI are tested."""
    return [f"plugin: {harness.PLUGIN}", f"uwsgi: {harness.UWSGI}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Says once, and not once per test, that the plugin has not been built."""
    if harness.PLUGIN.exists() or all(item.path.name == "test_harness.py" for item in items):
        return
    pytest.exit(f"{harness.PLUGIN} is missing: run `make` first, or set FASTRELOAD_PLUGIN_DIR", 4)
