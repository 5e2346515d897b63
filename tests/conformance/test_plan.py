"""What a run will use is known before it starts."""

from __future__ import annotations

from anys3.conformance.plan import Cost, plan
from anys3.conformance.registry import checks

_THAT_SHARE_A_LISTING = ("LIST-25/version-1", "LIST-25/version-1-delimiter")


def test_what_checks_share_counts_once() -> None:
    one, other = (checks()[name] for name in _THAT_SHARE_A_LISTING)
    assert plan([one, other]).writes == plan([one]).writes + 1
    assert plan([one]).writes == plan([other]).writes > 8


def test_what_is_left_to_be_cleaned_up_is_counted() -> None:
    that_leaves_an_upload = checks()["CMU-01/starts-an-upload"]
    assert plan([that_leaves_an_upload]).deletes == plan([]).deletes + 1


def test_all_checks_keep_to_what_a_run_may_send() -> None:
    assert plan(checks().values()).requests < 3000


def test_only_writes_lists_and_reads_cost_money() -> None:
    assert Cost(deletes=1000, sent_bytes=1 << 30).usd == 0
    assert Cost(writes=1000).usd > Cost(reads=1000).usd > 0
