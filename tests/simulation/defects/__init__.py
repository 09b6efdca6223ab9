"""Positive controls: defects that we plant. Each names the sentence of the design that it breaks.

A simulator that no defect can break proves nothing.
"""

from collections.abc import Callable, Iterator, Set
from typing import Final, NamedTuple

import pytest

from tests.simulation.choices import choices
from tests.simulation.defects import (
    of_effects,
    of_lost_rows,
    of_outcomes,
    of_rebuild,
    of_refunds,
    of_restore,
    of_retention,
    of_rounds,
    of_rules,
    of_workers,
)
from tests.simulation.histories import Count, History
from tests.simulation.one_effect import EffectBudget, EffectExploration
from tests.simulation.one_order import Budget
from tests.simulation.one_refund import RefundExploration
from tests.simulation.scopes import SCOPES
from tests.simulation.seeds import run
from tests.simulation.violation import Violation
from tests.support.plan import CrashPlan

#: Under which a disk is stale: its changelog was cut, and went on with other rows.
STALE: Final = frozenset(
    {
        "changelog cut",
        "changelog lost",
        "kill, disk behind",
        "kill, disk lost",
        "evict",
        "lose",
        "long wait",
        "compact",
    }
)
#: Of what may happen to an order besides its effect.
NOTHING_ELSE: Final = Budget(nudges=0, losses=0, repeats=0)
#: Of what may happen to an order besides its refunds.
REFUNDED: Final = Budget(cancels=0, nudges=0, losses=1, repeats=1)
#: Of what may befall a provider.
ONE_TIME_OUT: Final = EffectBudget(time_outs=1)
ZOMBIES: Final = EffectBudget(time_outs=0, zombies=1)
RUNS_OUT: Final = EffectBudget(time_outs=0, expiries=1)
Plant = Callable[[pytest.MonkeyPatch], None]
#: Seeds that are tried at most until a defect is caught.
MOST_SEEDS: Final = 300


class Control(NamedTuple):
    """A defect, and where it is looked for: seeds with the faults that they draw, or with these; or one history.

    A history has these of its scope's records, by their numbers, and one crash or zombie at every micro-step of it.
    """

    plant: Plant
    faults: Set[str] | None = None
    history: tuple[int, ...] = ()
    scope: str = "payment"
    #: True for seeds with providers.
    providers: bool = False
    #: Or an effect outside, of whose order every state is looked at, while these things befall its provider.
    effect: str = ""
    befall: EffectBudget = ONE_TIME_OUT
    #: Or an order with refunds, of which every state is looked at.
    refund: str = ""

    @property
    def name(self) -> str:
        return self.plant.__name__

    def hunt(self) -> Iterator[Callable[[], Violation | None]]:
        """The runs that are tried in turn until one of them finds the defect."""
        if self.history:
            yield self._history
        if self.effect:
            yield self._effect
        if self.refund:
            yield self._refund
        faults = None if self.faults is None else frozenset(self.faults)
        for seed in range(0 if self.history or self.effect or self.refund else MOST_SEEDS):
            yield lambda seed=seed: run(choices(seed), faults=faults, providers=self.providers)[1]  # type: ignore[misc]

    def _effect(self) -> Violation | None:
        try:
            EffectExploration(self.effect, NOTHING_ELSE, self.befall).run()
        except Violation as violation:
            return violation
        return None

    def _refund(self) -> Violation | None:
        try:
            RefundExploration(self.refund, REFUNDED).run()
        except Violation as violation:
            return violation
        return None

    def _history(self) -> Violation | None:
        scope = SCOPES[self.scope]
        records = (*scope.before, *(scope.kinds[number] for number in self.history))
        try:
            History(CrashPlan(scope.topic, records, ()), Count()).explore(1)
        except Violation as violation:
            return violation
        return None


def _of_effects(plant: Plant, *faults: str, effect: str = "", befall: EffectBudget = ONE_TIME_OUT) -> Control:
    """Looked for where providers fail and repeat themselves, with these other faults."""
    return Control(plant, {*PROVIDERS_FAIL, *faults}, providers=True, effect=effect, befall=befall)


#: A provider that is slow, fails, tells things twice, and executes late what was given up.
PROVIDERS_FAIL: Final = frozenset(
    {"time out", "server error", "arrive at a provider", "webhook", "cancel", "kill"}
)
CONTROLS: Final = (
    _of_effects(of_effects.it_calls_before_the_row_is_durable),
    _of_effects(of_effects.a_time_out_is_a_refusal),
    _of_effects(of_effects.each_attempt_has_a_key_of_its_own),
    _of_effects(of_effects.an_action_under_way_is_refused_at_once),
    _of_effects(of_effects.it_is_sent_back_before_it_is_undone),
    _of_effects(of_effects.an_effect_that_should_be_prevented_stays),
    _of_effects(of_effects.the_reference_is_forgotten),
    _of_effects(of_effects.an_answer_counts_for_a_later_question),
    _of_effects(of_effects.an_answer_about_another_thing_counts, "a day"),
    _of_effects(of_effects.an_answer_of_an_earlier_order_counts, "evict"),
    _of_effects(of_effects.an_undo_is_not_tried_again),
    _of_effects(of_effects.a_lost_answer_is_not_asked_for_again, "lose"),
    _of_effects(of_effects.rows_that_ask_are_forgotten_at_a_restart),
    _of_effects(of_effects.a_declined_payment_is_not_cancelled, effect="intents, flaky"),
    _of_effects(of_effects.to_prevent_it_looks, effect="keyed, fine"),
    _of_effects(of_effects.a_forgotten_key_is_used, "a day"),
    _of_effects(of_effects.it_is_confirmed_before_its_name_is_kept),
    _of_effects(of_effects.an_undo_leaves_a_begun_payment),
    _of_effects(of_effects.a_refusal_leaves_a_begun_payment),
    _of_effects(of_effects.a_key_is_used_for_a_later_order, "evict"),
    _of_effects(of_effects.a_pending_refund_is_taken_for_done, effect="keyed, undeliverable"),
    _of_effects(of_effects.the_order_is_not_kept_while_a_provider_is_asked),
    _of_effects(of_effects.settings_say_who_has_the_effect),
    _of_effects(of_effects.a_pending_action_is_taken_for_refused),
    _of_effects(of_effects.an_answer_goes_to_the_partition_of_its_order),
    _of_effects(of_effects.it_is_captured_before_the_pivot, effect="captured later"),
    _of_effects(of_effects.it_is_captured_twice, effect="keyed, captured later"),
    _of_effects(of_effects.it_is_captured_in_part, effect="captured later"),
    _of_effects(of_effects.a_late_done_is_taken_for_a_capture, effect="captured later", befall=ZOMBIES),
    _of_effects(
        of_effects.a_capture_that_is_refused_cancels_the_order, effect="captured later", befall=RUNS_OUT
    ),
    _of_effects(of_effects.an_undo_goes_past_the_pivot, effect="captured later"),
    Control(of_rounds.publish_before_journal),
    Control(of_rounds.acknowledge_before_publish),
    Control(of_rounds.apply_before_journal),
    Control(of_rounds.balances_before_the_journal),
    Control(of_rounds.reached_is_taken_from_the_last_row, history=(0, 1, 2)),
    Control(of_rounds.a_bad_record_is_dropped),
    Control(of_rounds.the_sent_on_marker_is_ignored),
    Control(of_rounds.a_policy_reaches_one_partition_less, {"policy"}),
    Control(of_rounds.a_policy_is_spread_from_where_it_is, {"policy"}),
    Control(of_rules.a_repeat_raises_the_version),
    Control(of_rules.a_repeat_is_not_answered, {"lose"}),
    Control(of_rules.a_replay_is_not_answered, {"kill"}),
    Control(of_rules.moves_are_applied_per_record_on_a_replay, history=(0, 0, 1)),
    Control(of_rules.moves_are_not_applied_on_a_replay, {"kill"}),
    Control(of_rules.no_tombstone, {"cancel"}),
    Control(of_rules.an_undo_is_calculated_anew),
    Control(of_rules.a_do_wins_over_an_earlier_undo, {"cancel"}),
    Control(of_rules.money_is_float),
    Control(of_rules.deposits_share_their_ids_with_orders),
    Control(of_rules.a_deposit_is_added_each_time),
    Control(of_rules.stock_may_be_sold_twice),
    Control(of_rules.a_withdrawal_takes_more_than_there_is),
    Control(of_rules.an_adjustment_is_made_in_part),
    Control(of_rules.a_refused_withdrawal_is_forgotten, history=(0, 1), scope="withdrawals at payment"),
    Control(of_rules.an_early_cancellation_is_forgotten, {"cancel"}),
    Control(of_rules.an_early_cancellation_cancels_later_orders_too, {"cancel", "evict"}),
    Control(
        of_rules.an_early_cancellation_is_met_before_it_is_replayed,
        history=(1,),
        scope="cancelled first at checkout",
    ),
    Control(of_rules.tries_are_not_raised),
    Control(of_rules.a_nudge_is_not_answered, {"lose"}),
    Control(of_refunds.a_repeat_is_repaid, refund="in parts"),
    Control(of_refunds.refunds_do_not_know_each_other, refund="too much"),
    Control(of_refunds.goods_come_before_money, refund="in parts"),
    Control(of_refunds.a_refund_ends_with_its_money, refund="in parts"),
    Control(of_refunds.a_cancelled_order_is_refunded, {"refund", "cancel"}),
    Control(of_refunds.an_order_with_an_open_refund_is_closed, {"refund", "evict"}),
    Control(of_refunds.a_refund_is_not_asked_for_again, refund="in parts"),
    Control(of_refunds.balances_of_refunds_do_not_come_back, history=(0, 1), scope="refunds at payment"),
    Control(of_refunds.totals_leave_refunds_out, {"refund", "evict"}),
    Control(of_rules.the_policy_of_now_says_how_long_an_order_waits, {"policy", "lose"}),
    Control(of_restore.the_last_write_wins_at_a_restore, {"repeat row"}),
    Control(of_restore.stale_rows_are_not_repaired, {"repeat row"}),
    Control(of_restore.reached_does_not_stop_before_a_stale_row, {"repeat row"}),
    Control(of_restore.the_disk_beats_the_changelog),
    Control(of_restore.balances_are_read_further_than_the_journal, history=(0, 1)),
    Control(of_restore.balances_may_lag_behind_a_low_watermark, history=(0,), scope="eviction at payment"),
    Control(of_restore.the_disk_runs_ahead_of_the_changelog, {"evict", "kill", "compact"}),
    Control(of_workers.fetched_records_are_committed),
    Control(of_workers.batches_of_an_earlier_generation_are_decided, {"stop", "pause"}),
    Control(of_workers.a_zombie_sends, {"pause", "long wait"}),
    Control(of_workers.one_answer_renews_the_lease, {"pause", "loading"}),
    Control(of_workers.a_deadline_is_not_kept_over_a_restart, {"lose", "stop"}),
    Control(of_rebuild.the_last_committed_record_is_not_folded, {"rebuild"}),
    Control(of_rebuild.balances_are_not_rebuilt, {"rebuild"}),
    Control(of_lost_rows.the_note_is_ignored, {"changelog lost", "kill, disk lost"}),
    Control(of_lost_rows.a_disk_ahead_of_its_changelog_is_emptied, {"changelog lost"}),
    Control(
        of_lost_rows.rows_are_written_again_without_a_word,
        {"changelog lost", "changelog cut", "kill", "long wait"},
    ),
    Control(of_lost_rows.a_disk_of_an_earlier_term_is_trusted, STALE),
    Control(of_workers.a_nudge_is_sent_once, {"lose"}),
    Control(of_retention.totals_are_not_kept, {"evict"}),
    Control(of_retention.a_late_step_request_is_decided, {"evict", "repeat"}),
    Control(of_retention.open_orders_are_evicted, {"evict"}),
    Control(of_retention.the_workers_clock_decides, {"evict", "clock skew", "long wait"}),
    Control(of_retention.totals_are_written_last, {"evict", "kill"}),
    Control(of_retention.a_late_write_stays, {"evict", "repeat row", "compact"}),
    Control(of_retention.a_tombstone_has_no_version, {"evict", "repeat row"}),
    Control(of_retention.a_replay_takes_evicted_orders_for_new_ones, history=(0,), scope="purge at checkout"),
    Control(of_retention.a_closing_takes_younger_rows, history=(0, 0), scope="closing at checkout"),
    Control(of_retention.an_eviction_takes_a_later_order, history=(0, 1), scope="eviction at payment"),
    Control(
        of_retention.a_rejected_eviction_is_applied_later, history=(0, 2, 1), scope="evicted at inventory"
    ),
    Control(of_retention.an_early_cancellation_is_evicted_too_early, {"cancel", "evict"}),
    Control(of_retention.an_early_cancellation_is_in_no_segment, {"cancel", "evict"}),
    Control(of_retention.a_record_alone_raises_the_low_watermark, {"evict", "forge"}),
    Control(of_retention.a_closing_beyond_the_inbox_is_taken, {"evict", "forge"}),
    Control(of_outcomes.told_before_the_journal),
    Control(of_outcomes.not_told_on_a_replay, {"kill"}),
    Control(of_outcomes.not_told_after_a_restore, {"kill"}),
    Control(of_outcomes.told_with_another_reason),
    Control(of_outcomes.a_repeat_has_another_id),
    Control(of_outcomes.the_outcome_of_an_evicted_order_stays, {"evict"}),
)
