"""The limit of errors that are sent to one device."""

from k1_platform.nats.device_errors import BURST, ErrorLimiter


def test_a_few_at_once_then_one_a_second() -> None:
    """Each device has its own allowance; what was left out is counted and reported with the next."""
    now_s = 0.0
    limiter = ErrorLimiter(lambda: now_s)
    assert [limiter.allow("a") for _ in range(BURST + 3)] == [0] * BURST + [None] * 3
    assert limiter.allow("b") == 0
    now_s = 1.0
    assert [limiter.allow("a") for _ in range(2)] == [3, None]
    now_s = 1000.0
    assert [limiter.allow("a") for _ in range(BURST + 1)] == [1] + [0] * (BURST - 1) + [None]
