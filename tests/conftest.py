"""Fixtures every test may use. Time comes from a Clock, parts are real, sockets reach loopback only."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The machine may be busy: slowness is measured in benches, never by a test's deadline.
settings.register_profile(
    "suite", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
# For a night: `pytest tests/model --hypothesis-profile=long`.
settings.register_profile("long", settings.get_profile("suite"), max_examples=5000)
settings.load_profile("suite")
