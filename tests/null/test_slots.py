"""The table of slots, and the rule that says what is worth keeping."""

from __future__ import annotations

from homefire.engines.prefix import Chain, chain_of
from homefire.engines.slots import Slot, SlotTable
from homefire.engines.worth import Worth


def text(*words: str) -> Chain:
    return chain_of("".join(word * 64 for word in words).encode())


def fill(slot: Slot, chain: Chain, used: float, tokens: int = 100) -> None:
    slot.chain, slot.used, slot.tokens = chain, used, tokens


def test_a_conversation_gets_its_own_slot_back() -> None:
    table = SlotTable(3)
    fill(table.slots[1], text("a", "b", "c"), 1)
    fill(table.slots[2], text("a", "x", "y"), 2)
    choice = table.choose(text("a", "b", "c", "d"))
    assert choice is not None
    assert (choice.slot.number, choice.matched, choice.displaces) == (1, 3, False)


def test_a_new_conversation_gets_an_empty_slot_not_anothers() -> None:
    table = SlotTable(2)
    fill(table.slots[0], text("s", *"abcdef"), 1)
    choice = table.choose(text("s", "z"))
    assert choice is not None
    assert (choice.slot.number, choice.matched, choice.displaces) == (1, 0, False)


def test_without_an_empty_one_the_shared_beginning_is_used_and_the_rest_displaced() -> None:
    table = SlotTable(2)
    fill(table.slots[0], text("s", *"abcdef"), 5)
    fill(table.slots[1], text("other", *"abcdef"), 1)
    choice = table.choose(text("s", "z"))
    assert choice is not None
    assert (choice.slot.number, choice.matched, choice.displaces) == (0, 1, True)


def test_strangers_displace_who_was_used_longest_ago_and_never_the_busy() -> None:
    table = SlotTable(3)
    for number, used in enumerate((3.0, 1.0, 2.0)):
        fill(table.slots[number], text(str(number)), used)
    table.slots[1].busy = True
    choice = table.choose(text("z"))
    assert choice is not None and choice.slot.number == 2 and choice.displaces
    for slot in table.slots:
        slot.busy = True
    assert table.choose(text("z")) is None
    assert not table.quiet() and table.idle() == []


def test_worth_is_reading_against_moving() -> None:
    worth = Worth()
    worth.read(1000, 10.0)  # 100 tokens a second
    worth.moved(1000, 100_000_000, 0.5)  # 100 kB a token
    assert worth.reading(2000) == 20.0
    assert worth.keeps(2000) and worth.brings_back(1500, 2000)
    assert not worth.keeps(10) and not worth.brings_back(5, 2000)
    quick = Worth()
    quick.read(100_000, 1.0)
    quick.moved(1000, 100_000_000, 0.5)
    assert not quick.keeps(2000)  # 0.02 s of reading for 0.8 s of moving


def test_few_tokens_do_not_change_the_measured_rate() -> None:
    worth = Worth()
    worth.read(1000, 1.0)
    worth.read(1, 1.0)
    assert worth.read_rate == 1000.0


def test_a_growing_conversation_is_written_again_when_it_grew_by_a_quarter() -> None:
    worth = Worth()
    worth.read(1000, 10.0)
    assert worth.saves_now(1000, 1000, 2.0)
    assert not worth.saves_now(1100, 100, 0.0)
    assert worth.saves_now(1300, 300, 2.0)
    assert not worth.saves_now(1300, 300, 5.0)
