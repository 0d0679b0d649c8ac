from __future__ import annotations

from namel3ss.cli.conversation import Conversation, Turn


def talked(*turns: tuple[str, str]) -> Conversation:
    conversation = Conversation()
    for question, answer in turns:
        conversation.record(question, answer, speaker="llama3")
    return conversation


def sent(conversation: Conversation, question: str) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in conversation.messages(question)]


def test_question_is_sent_after_all_earlier_turns() -> None:
    conversation = talked(("a", "A"), ("b", "B"))

    assert sent(conversation, "c") == [
        ("user", "a"),
        ("assistant", "A"),
        ("user", "b"),
        ("assistant", "B"),
        ("user", "c"),
    ]


def test_question_cut_off_before_its_answer_is_forgotten() -> None:
    conversation = Conversation()

    conversation.record("a", "", speaker="llama3", complete=False)

    assert conversation.turns == []


def test_answer_that_was_cut_off_is_kept_as_such() -> None:
    conversation = Conversation()

    conversation.record("a", "half an ans", speaker="llama3", complete=False)

    assert conversation.turns == [Turn("a", "half an ans", "llama3", complete=False)]
    assert "(cut off)" in conversation.transcript(system=None)


def test_empty_answer_leaves_no_assistant_message() -> None:
    conversation = talked(("a", ""))

    assert sent(conversation, "b") == [("user", "a"), ("user", "b")]


def test_full_window_leaves_out_as_many_oldest_turns_as_are_too_much() -> None:
    conversation = talked(("a" * 50, "A" * 50), ("b" * 50, "B" * 50), ("c" * 50, "C" * 50))

    left_out = conversation.leave_out("d" * 100, prompt_tokens=400, window=250)

    assert left_out == 2
    assert [content[0] for _, content in sent(conversation, "d")] == ["c", "C", "d"]


def test_full_window_without_numbers_leaves_out_one_turn_at_a_time() -> None:
    conversation = talked(("a", "A"), ("b", "B"))

    assert conversation.leave_out("c", prompt_tokens=None, window=None) == 1
    assert conversation.leave_out("c", prompt_tokens=None, window=None) == 1
    assert conversation.leave_out("c", prompt_tokens=None, window=None) == 0
    assert sent(conversation, "c") == [("user", "c")]


def test_what_was_left_out_is_kept_for_the_transcript() -> None:
    conversation = talked(("first question", "A"), ("b", "B"))
    conversation.leave_out("c", prompt_tokens=None, window=None)

    assert "first question" in conversation.transcript(system="Be brief.")


def test_another_model_gets_all_turns_again() -> None:
    conversation = talked(("a", "A"))
    conversation.leave_out("b", prompt_tokens=None, window=None)

    conversation.send_all_again()

    assert len(sent(conversation, "b")) == 3


def test_cleared_conversation_sends_the_question_alone() -> None:
    conversation = talked(("a", "A"))

    conversation.clear()

    assert sent(conversation, "b") == [("user", "b")]
    assert conversation.turns == []


def test_transcript_is_markdown_with_both_sides() -> None:
    text = talked(("Why?", "Because.")).transcript(system="Be brief.")

    assert text == ("# A conversation\n\nSystem: Be brief.\n\n## You\n\nWhy?\n\n## llama3\n\nBecause.\n")
