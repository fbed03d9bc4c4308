"""The lease of a trader, second by second: the clock is the test's."""

import pytest

from coincall_fast.lease import Answer, Lease, Said, Word

BEAT, SET, RELEASE = Word.BEAT, Word.SET, Word.RELEASE


def said(word: Word, said_s: float) -> Said:
    return Said(word, 1, said_s)


def test_a_lease_lasts_for_three_beats() -> None:
    lease = Lease(1.0, 100.0)
    for second in range(101, 110):
        assert lease.hear(said(BEAT, second)) is Answer.HELD
    lease.look(111.99)
    assert not lease.has_lapsed
    lease.look(112.0)
    assert lease.has_lapsed
    assert not lease.is_clean


def test_a_beat_does_not_renew_what_has_lapsed() -> None:
    lease = Lease(1.0, 0.0)
    assert lease.hear(said(BEAT, 3.0)) is Answer.LAPSED
    assert lease.hear(said(BEAT, 4.0)) is Answer.LAPSED
    lease.cleaned(lease.cleanings)
    assert lease.hear(said(BEAT, 5.0)) is Answer.LAPSED
    assert lease.hear(said(SET, 6.0)) is Answer.HELD
    assert lease.hear(said(BEAT, 8.9)) is Answer.HELD


def test_what_counts_is_when_it_was_said() -> None:
    """A guard that was kept from listening for a minute hears all of it then."""
    lease = Lease(1.0, 0.0)
    assert [lease.hear(said(BEAT, s)) for s in (2.0, 4.0, 6.0)] == [Answer.HELD] * 3
    assert lease.due_s == 9.0


def test_the_first_sign_of_life_after_a_lapse_asks_for_one_more_cleaning() -> None:
    """What was sent just before must go as well; nobody is to clean for ever on the others."""
    lease = Lease(1.0, 0.0)
    lease.look(3.0)
    lease.cleaned(lease.cleanings)
    assert lease.is_clean
    lease.hear(said(BEAT, 9.0))
    assert not lease.is_clean
    assert lease.hear(said(SET, 9.1)) is Answer.BUSY
    counted = lease.cleanings
    lease.hear(said(BEAT, 10.0))
    lease.cleaned(counted)
    assert lease.is_clean
    assert lease.hear(said(SET, 10.1)) is Answer.HELD
    lease.look(13.1)
    lease.cleaned(lease.cleanings)
    lease.hear(said(BEAT, 14.0))
    assert not lease.is_clean  # and so after each lapse


def test_what_was_cleaned_before_the_last_reason_is_not_clean() -> None:
    lease = Lease(1.0, 0.0)
    lease.look(3.0)
    before = lease.cleanings
    lease.end()
    lease.cleaned(before)
    assert not lease.is_clean


@pytest.mark.parametrize("at_s", [0.5, 5.0])
def test_the_end_of_the_pipe_is_a_death(at_s: float) -> None:
    lease = Lease(1.0, 0.0)
    lease.look(at_s)
    lease.cleaned(lease.cleanings)
    lease.end()
    assert lease.is_orphan
    assert not lease.is_clean


def test_what_is_released_is_no_death() -> None:
    lease = Lease(1.0, 0.0)
    assert lease.hear(said(RELEASE, 1.0)) is Answer.RELEASED
    lease.look(9.0)
    lease.end()
    assert lease.is_clean
    assert not lease.has_lapsed


def test_what_cancels_is_not_released() -> None:
    lease = Lease(1.0, 0.0, has_lapsed=True)
    assert lease.hear(said(RELEASE, 0.5)) is Answer.BUSY
    assert not lease.is_released
    lease.cleaned(lease.cleanings)
    assert lease.hear(said(RELEASE, 0.6)) is Answer.RELEASED


def test_lines() -> None:
    one = Said(BEAT, 7, 12345.678901234, frozenset({"options:BTCUSD", "futures:ETHUSD"}))
    assert one.line() == "beat 7 12345.678901234 futures:ETHUSD options:BTCUSD"
    assert Said.parse(one.line() + "\n") == one
    for line in ("", "beat", "beat x 1.0", "beat 1", "hello 1 1.0"):
        with pytest.raises(ValueError):  # noqa: PT011
            Said.parse(line)
