"""The decisions of the autoscaler."""

from benchmarks.scaling.autoscaler import Autoscaler, Policy

POLICY = Policy(target=2, most=3, polling_s=5, cooldown_s=20, removal_period_s=10)


def test_it_goes_from_none_to_the_limit_and_back() -> None:
    """One worker at first, then one for each two songs; one fewer in each period; none after the cooldown."""
    autoscaler = Autoscaler(POLICY)
    signals = [0, 9, 9, 5, 3, 2, 1, 1, 0, 0, 0, 0, 0, 0]
    replicas = [autoscaler.poll(signal, 5.0 * number) for number, signal in enumerate(signals)]
    assert replicas == [0, 1, 3, 3, 2, 2, 1, 1, 1, 1, 1, 0, 0, 0]


def test_an_unknown_signal_changes_nothing() -> None:
    """Lost data neither removes workers nor adds them."""
    autoscaler = Autoscaler(POLICY, replicas=2)
    assert autoscaler.poll(None, 100.0) == 2
    assert Autoscaler(POLICY).poll(None, 100.0) == 0
