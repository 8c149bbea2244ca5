"""`homefire chat`: one prompt, or a conversation that streams.

Promises: the answer alone goes to standard output, everything else to standard error; Ctrl-C stops the answer, not the
program; conversations are kept, and the page shows them too (`--no-keep` keeps nothing).
Does not cover: Markdown in the terminal: it prints what the model writes.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from homefire.cli.main import parser_for, print_json, show_error
from homefire.client import Homefire, ServerEvent
from homefire.errors import DaemonNotRunning, HomefireError, InvalidRequest

HELP = "/exit leaves, /new begins a new conversation, /model NAME changes the model, /again answers again, /help shows this."


def run(verb: str, argv: list[str]) -> int:
    """Runs `homefire chat`."""
    parser = parser_for("chat")
    parser.add_argument(
        "prompt", nargs="*", help="what to say; without it, a conversation begins ('-' reads standard input)"
    )
    parser.add_argument("--model", help="model to talk to (default: the setting 'model')")
    parser.add_argument("--system", help="system prompt")
    parser.add_argument("--continue", dest="resume", action="store_true", help="go on with the newest conversation")
    parser.add_argument("--temperature", type=float, help="0 to 2")
    parser.add_argument("--max-tokens", type=int, help="longest answer in tokens")
    parser.add_argument("--seed", type=int, help="the same seed gives the same answer")
    parser.add_argument("--no-keep", action="store_true", help="forget the conversation afterwards")
    options = parser.parse_args(argv)
    sampling = {
        name: value for name in ("temperature", "max_tokens", "seed") if (value := getattr(options, name)) is not None
    }
    with Homefire.connect() as home:
        session = Session(home, options.model, options.system, sampling)
        if options.resume:
            session.resume()
        try:
            prompt = sys.stdin.read() if options.prompt == ["-"] else " ".join(options.prompt)
            if options.prompt:
                return _once(session, prompt, options.json)
            if options.json:
                raise InvalidRequest("'--json' needs a prompt.", 'Say: homefire chat --json "a prompt"')
            return _converse(session)
        finally:
            if options.no_keep:
                session.forget()


class Session:
    """One conversation with the daemon."""

    def __init__(self, home: Homefire, model: str | None, system: str | None, sampling: dict[str, Any]) -> None:
        self._home = home
        self.model = model
        self._system = system
        self._sampling = sampling
        self.id: str | None = None
        self._last_answer: str | None = None

    def resume(self) -> None:
        """Takes up the newest conversation. Raises InvalidRequest when there is none."""
        found = self._home.get("/homefire/v1/conversations", limit=1)["conversations"]
        if not found:
            raise InvalidRequest("There is no conversation to continue.", "Begin one with: homefire chat")
        self.id = found[0]["id"]
        messages = self._home.get(f"/homefire/v1/conversations/{self.id}")["messages"]
        self._last_answer = next((m["id"] for m in reversed(messages) if m["role"] == "assistant"), None)
        print(f"(continuing: {found[0]['title']})", file=sys.stderr)

    def begin_anew(self) -> None:
        """The next message begins a new conversation."""
        self.id = self._last_answer = None

    def forget(self) -> None:
        """Deletes the conversation."""
        if self.id is not None:
            self._home.delete(f"/homefire/v1/conversations/{self.id}")

    def say(self, content: str) -> Iterator[ServerEvent]:
        """The events of the answer."""
        if self.id is None:
            body = {"model": self.model, "system": self._system}
            self.id = self._home.post("/homefire/v1/conversations", body)["id"]
        yield from self._noted(self._home.ask(self.id, content, **self._fields()))

    def again(self) -> Iterator[ServerEvent]:
        """The events of another answer to the last message. Raises InvalidRequest before the first one."""
        if self.id is None or self._last_answer is None:
            raise InvalidRequest("There is no answer yet.", "Say something first.")
        path = f"/homefire/v1/conversations/{self.id}/messages/{self._last_answer}/regenerate"
        yield from self._noted(self._home.stream(path, self._fields()))

    def _fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"sampling": self._sampling} if self._sampling else {}
        return {**fields, "model": self.model} if self.model else fields

    def _noted(self, events: Iterator[ServerEvent]) -> Iterator[ServerEvent]:
        for event in events:
            if event.name == "message" and event.data["role"] == "assistant":
                self._last_answer = event.data["id"]
            yield event


def _once(session: Session, prompt: str, as_json: bool) -> int:
    if not prompt.strip():
        raise InvalidRequest("The prompt is empty.", 'Say: homefire chat "a prompt"')
    if not as_json:
        return 0 if _show(session.say(prompt)) else 130
    notice = None
    for event in session.say(prompt):
        if event.name == "notice":
            notice = event.data["text"]
        elif event.name == "done":
            answer = event.data
            print_json({"conversation": session.id, "notice": notice, **answer})
    return 0


def _converse(session: Session) -> int:
    with contextlib.suppress(ImportError):  # line editing and history, where the system has it
        import readline  # noqa: F401
    print(f"Talking to {session.model or 'the default model'}. {HELP}", file=sys.stderr)
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "")
        except EOFError:
            return 0
        except KeyboardInterrupt:
            print("\n(Ctrl-D or /exit leaves)", file=sys.stderr)
            continue
        if not line.strip():
            continue
        if line.strip() == "/exit":
            return 0
        try:
            _turn(session, line.strip())
        except DaemonNotRunning:
            raise
        except HomefireError as problem:
            show_error(problem, as_json=False)


def _turn(session: Session, line: str) -> None:
    word, _, rest = line.partition(" ")
    if word == "/help":
        print(HELP, file=sys.stderr)
    elif word == "/new":
        session.begin_anew()
        print("(a new conversation)", file=sys.stderr)
    elif word == "/model":
        session.model = rest.strip() or None
        print(f"(talking to {session.model or 'the default model'})", file=sys.stderr)
    elif word == "/again":
        _show(session.again())
    elif word.startswith("/") and word[1:].isalpha():
        raise InvalidRequest(f"There is no command {word}.", HELP)
    else:
        _show(session.say(line))


def _show(events: Iterator[ServerEvent]) -> bool:
    """Prints an answer as it comes; false if Ctrl-C stopped it. Closing the stream stops the model."""
    began = False
    with contextlib.closing(events) as stream:  # type: ignore[type-var]
        try:
            for event in stream:
                if event.name == "notice":
                    print(f"[{event.data['text']}]\n", file=sys.stderr)
                elif event.name == "queue" and sys.stderr.isatty() and event.data["position"] > 1:
                    print(
                        f"[place {event.data['position']} in the queue, about {event.data['eta_s']:.0f} s]",
                        file=sys.stderr,
                    )
                elif event.name == "delta":
                    began = True
                    sys.stdout.write(event.data["text"])
                    sys.stdout.flush()
                elif event.name == "done":
                    print(flush=True)
                    _show_who(event.data)
                    _show_rate(event.data)
        except KeyboardInterrupt:
            print("\n(stopped)", file=sys.stderr)
            return False
        except HomefireError:
            if began:
                print(flush=True)
            raise
    return True


def _show_who(message: dict[str, Any]) -> None:
    """Says who answered, if it is not the one that was asked for first."""
    by = message["answered_by"]
    if by and by["failed"]:
        failed = ", ".join(f"{each['name']}: {each['code']}" for each in by["failed"])
        print(f"({by['name']} answered; asked before: {failed})", file=sys.stderr)


def _show_rate(message: dict[str, Any]) -> None:
    timings, usage = message["timings"], message["usage"]
    if timings and usage and sys.stderr.isatty():
        rate = f", {timings['tokens_per_second']:.0f} tokens/s" if timings["tokens_per_second"] else ""
        print(
            f"({usage['completion_tokens']} tokens, first after {timings['time_to_first_token_s'] * 1000:.0f} ms{rate})",
            file=sys.stderr,
        )
