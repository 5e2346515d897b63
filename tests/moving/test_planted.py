"""The tests of copies find bugs: each of those that are planted makes one of them fail."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.moving import planted, test_copies, test_damage, test_following, test_interruptions
from tests.moving.planted import PLANTED, Plant

Finder = Callable[[], None]


def _following(seed: int, *when: object) -> Finder:
    return partial(test_following.test_what_was_written_while_a_store_is_moved_is_in_the_copy, seed, *when)


def _dying(at: int) -> Finder:
    return partial(
        test_interruptions.test_a_move_that_dies_at_any_call_is_ended_by_the_next, at, is_done=False
    )


WRITERS = [_following(seed, *when) for when in test_following.WHEN.values() for seed in test_following.SEEDS]
KILLS = [_dying(at) for at in range(6)]
FINDERS: dict[Plant, list[Finder]] = {
    planted.the_last_page_is_skipped: [test_copies.test_a_copy_has_several_pages_of_everything],
    planted.parts_are_joined: WRITERS,
    planted.a_change_is_not_noted: [
        partial(test_following.test_a_change_that_comes_last_is_in_the_copy, kind)
        for kind in test_following.LAST
    ],
    planted.notes_that_ended_are_no_matter: [
        partial(
            test_following.test_a_move_whose_notes_another_one_ends_lets_writes_go_on, is_paused=is_paused
        )
        for is_paused in (False, True)
    ],
    planted.old_notes_are_for_new_buckets: [
        test_following.test_a_bucket_that_is_made_anew_in_the_same_millisecond_loses_its_old_objects
    ],
    planted.damage_is_told_once: [
        test_damage.test_damage_that_was_found_by_an_early_pass_is_told_until_it_is_written_over
    ],
    planted.keys_come_first: [test_following.test_a_grant_on_a_bucket_that_was_made_anew_arrives],
    planted.an_ended_pause_is_no_matter: [
        test_following.test_a_pause_that_ends_before_the_last_pass_makes_no_move
    ],
    planted.a_failed_move_leaves_the_pause: [
        test_following.test_a_move_that_fails_in_its_last_pass_lets_writes_go_on
    ],
    planted.the_half_may_be_served: [test_copies.test_nobody_else_writes_to_the_half_of_a_copy],
    planted.the_target_is_opened_first: KILLS,
    planted.bytes_are_not_compared: [test_damage.test_bytes_that_do_not_make_the_objects_etag_are_not_copied],
    planted.damage_is_no_hindrance: [test_damage.test_bytes_that_do_not_make_the_objects_etag_are_not_copied],
    planted.a_change_forgets_to_ask: [test_copies.test_nobody_else_writes_to_the_half_of_a_copy],
    planted.a_copy_begins_anew: [test_interruptions.test_parts_that_were_copied_are_not_copied_again],
    planted.a_second_copy_is_not_noticed: [test_interruptions.test_a_second_run_ends_the_first_one],
}
"""The tests that find a bug; the writers find those that are not named."""


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    if plant is planted.engines_that_are_away_end_the_copy:
        finders: list[Finder] = [
            partial(test_following.test_engines_that_are_away_for_a_while_are_waited_for, seed, monkeypatch)
            for seed in range(4)
        ]
    else:
        finders = FINDERS.get(plant, WRITERS)
    assert any(_fails(finder) for finder in finders)


def _fails(finder: Finder) -> bool:
    try:
        finder()
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 (however it shows)
        return True
    return False
