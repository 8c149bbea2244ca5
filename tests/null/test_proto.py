"""The proto, the messages made of it, the table of rights, the routes and the OpenAPI description say the same.

Promises: one of them changed alone is red here; what a route answers fits its message field by field, none left over.
Does not cover: calls over a socket (`test_rpc.py`).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from google.protobuf import json_format

from homefire.dialects.openai import ChatBody, ChatMessage, FunctionTool, JsonSchema, ResponseFormat, ToolCallIn, ToolIn
from homefire.errors import HomefireError, UnknownRoute, leaves
from homefire.server.app import Rooms, route_table
from homefire.server.description import openapi
from homefire.server.proto import assistant_pb2 as pb
from homefire.server.rpc_rights import LIVENESS, RIGHTS_GRPC, code_of, needs_of
from homefire.server.rpc_services import ASKED, _without_null, read
from homefire.server.scopes import ANYBODY, right_of
from tests.null.rig import AT, House, at_home
from tests.null.test_docs import _Anything

ROOT = Path(__file__).parents[2]
SERVICES = pb.DESCRIPTOR.services_by_name


def methods() -> dict[str, Any]:
    return {f"/{s.full_name}/{m.name}": m for s in SERVICES.values() for m in s.methods}


def test_the_messages_are_those_of_the_proto(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        "-Iproto",
        f"--python_out={tmp_path}",
        "proto/assistant.proto",
    ]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    made = (tmp_path / "assistant_pb2.py").read_text("utf-8")
    assert made == (ROOT / "homefire/server/proto/assistant_pb2.py").read_text("utf-8"), "python tasks.py proto"


def test_every_method_has_its_right_and_every_right_its_method() -> None:
    ours = {method for method in RIGHTS_GRPC if method.startswith("/homefire.")}
    assert set(methods()) == ours
    assert {name.removeprefix("/homefire.v1.") for name in ours} == {*ASKED, "Chat/Complete"}
    with pytest.raises(UnknownRoute):
        needs_of("/homefire.v1.Chat/Other")


def test_every_method_is_a_route_of_the_description_with_the_same_scopes() -> None:
    description = openapi(route_table(cast(Rooms, _Anything())), "0")["paths"]
    for method, route in RIGHTS_GRPC.items():
        verb, _, path = route.partition(" ")
        assert description[path][verb.lower()]["x-homefire-scopes"] == list(needs_of(method)), method
        assert needs_of(method) == right_of(verb, path).needs
    assert needs_of(LIVENESS) == ANYBODY


def test_the_comment_of_each_method_names_its_route() -> None:
    text = (ROOT / "proto/assistant.proto").read_text("utf-8")
    found = dict(re.findall(r"// (.*)\n  rpc (\w+)\(", text))
    named = {route: method for route, method in found.items()}
    assert named == {route: m.rpartition("/")[2] for m, route in RIGHTS_GRPC.items() if m.startswith("/homefire.")}


@pytest.mark.parametrize(
    ("message", "body", "apart"),
    [
        (pb.ChatRequest, ChatBody, set()),
        (pb.ChatMessage, ChatMessage, set()),
        (pb.ToolCall, ToolCallIn, set()),
        (pb.Tool, ToolIn, set()),
        (pb.FunctionTool, FunctionTool, set()),
        (pb.ResponseFormat, ResponseFormat, set()),
        (pb.JsonSchema, JsonSchema, set()),
    ],
)
def test_a_chat_has_the_fields_of_the_route(message: Any, body: Any, apart: set[str]) -> None:
    assert set(message.DESCRIPTOR.fields_by_name) - apart <= set(body.__struct_fields__)


def test_what_the_routes_answer_fits_the_messages(tmp_path: Path) -> None:
    """Strictly: a field of a route that its message lacks is an error here."""

    async def work(house: House) -> None:
        ask = {"messages": [{"role": "user", "content": "hello"}]}
        assert (await house.call("POST", "/v1/chat/completions", ask)).status == 200
        house.keeper.decisions.note("kept", "pilot", "a reason", {"tokens": 3})
        for method, path, message in (
            ("GET", f"{AT}/models?fit=1", pb.ListModelsReply),
            ("POST", f"{AT}/models/pilot/load", pb.LoadReply),
            ("GET", f"{AT}/residency", pb.ResidencyTable),
            ("GET", f"{AT}/status", pb.StatusReply),
            ("GET", f"{AT}/sensors", pb.Sensors),
            ("GET", f"{AT}/decisions", pb.DecisionsReply),
            ("POST", f"{AT}/models/pilot/unload", pb.UnloadReply),
        ):
            found = (await house.call(method, path)).json()
            whole = json_format.ParseDict(_without_null(found), message())
            shown = json_format.MessageToDict(whole, preserving_proto_field_name=True)
            assert shown, path
            assert set(found) - set(shown) <= {key for key, value in found.items() if not value}, path

    at_home(tmp_path, work)


def test_nothing_is_lost_between_json_and_message() -> None:
    decision = {
        "number": 2**60,
        "at": 1.5,
        "kind": "kept",
        "model": "m",
        "reason": "r",
        "facts": {"a": [1, None]},
        "times": 1,
    }
    found = json_format.MessageToDict(read(decision, pb.Decision()), preserving_proto_field_name=True)
    assert found == {**decision, "number": str(2**60), "times": "1"}
    assert not read({"digest": None}, pb.Model()).HasField("digest")


def test_every_error_has_a_status() -> None:
    import grpc

    names = {code.name for code in grpc.StatusCode}
    for leaf in leaves():
        assert code_of(leaf("x")) in names - {"OK", "UNKNOWN"}
    assert code_of(HomefireError("x")) == "INTERNAL"
    assert code_of(UnknownRoute("x"), method_known=False) == "UNIMPLEMENTED"


def test_a_daemon_without_grpc_loads_none_of_it() -> None:
    program = (
        "import sys, homefire.daemon; print([m for m in ('grpc', 'google.protobuf', 'wsproto') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['grpc'] = None\n"
        "from homefire.errors import PackageMissing\n"
        "try: import homefire.server.rpc\n"
        "except PackageMissing as problem: print(problem.next_step)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "Install it: pip install 'homefire[grpc]'"
