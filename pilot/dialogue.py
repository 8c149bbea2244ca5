"""One conversation and how it becomes the text the model sees.

Promises: `render` gives byte for byte what llama.cpp renders from `TEMPLATE` for the same
messages and tools (the evaluation checks it), with a weight for each stretch of text that says
how much the model should learn to write it. Does not cover tokens: `pilot/tokens.py` does.
"""

import json
from dataclasses import dataclass, field
from typing import Any

START = "<|im_start|>"
END = "<|im_end|>"
NOTHING = "<|endoftext|>"
MARKS = (
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<tools>",
    "</tools>",
)

# ChatML with the Hermes form of tool calls. Tools are shown with the names and kinds of their
# arguments only: a model this small is better served by less to read.
TEMPLATE = """\
{%- set ns = namespace(system='') -%}
{%- if messages and messages[0].role == 'system' -%}
{%- set ns.system = messages[0].content -%}
{%- endif -%}
{%- if tools -%}
{{- '<|im_start|>system\\n' -}}
{%- if ns.system -%}{{- ns.system + '\\n' -}}{%- endif -%}
{{- '<tools>\\n' -}}
{%- for tool in tools -%}
{%- set f = tool.function if tool.function is defined else tool -%}
{{- '{"name": "' + f.name + '", "description": ' + ((f.description or '') | tojson) -}}
{{- ', "arguments": {' -}}
{%- if f.parameters and f.parameters.properties -%}
{%- for key, kind in f.parameters.properties.items() -%}
{{- '"' + key + '": "' + ((kind.type if kind.type is string else 'string') or 'string') + '"' -}}
{%- if not loop.last -%}{{- ', ' -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '}}\\n' -}}
{%- endfor -%}
{{- '</tools><|im_end|>\\n' -}}
{%- elif ns.system -%}
{{- '<|im_start|>system\\n' + ns.system + '<|im_end|>\\n' -}}
{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'tool' -%}
{{- '<|im_start|>tool\\n<tool_response>\\n' + (message.content or '') -}}
{{- '\\n</tool_response><|im_end|>\\n' -}}
{%- elif message.role == 'assistant' -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if message.content -%}{{- message.content -}}{%- endif -%}
{%- if message.tool_calls -%}
{%- for call in message.tool_calls -%}
{%- set c = call.function if call.function is defined else call -%}
{%- if not loop.first or message.content -%}{{- '\\n' -}}{%- endif -%}
{{- '<tool_call>\\n{"name": "' + c.name + '", "arguments": ' -}}
{%- if c.arguments is string -%}{{- c.arguments -}}
{%- else -%}{{- c.arguments | tojson -}}{%- endif -%}
{{- '}\\n</tool_call>' -}}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- elif message.role == 'user' -%}
{{- '<|im_start|>user\\n' + (message.content or '') + '<|im_end|>\\n' -}}
{%- elif not loop.first -%}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') + '<|im_end|>\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""


@dataclass(frozen=True)
class Tool:
    """A tool as a request offers it: `arguments` maps an argument's name to its JSON type."""

    name: str
    description: str
    arguments: dict[str, str]

    def as_request(self) -> dict[str, Any]:
        """The OpenAI form."""
        properties = {key: {"type": kind} for key, kind in self.arguments.items()}
        parameters = {
            "type": "object",
            "properties": properties,
            "required": list(self.arguments),
        }
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": parameters,
        }
        return {"type": "function", "function": function}

    def as_line(self) -> str:
        """One line between `<tools>` and `</tools>`."""
        shown = {
            "name": self.name,
            "description": self.description,
            "arguments": self.arguments,
        }
        return json.dumps(shown, ensure_ascii=False)


@dataclass(frozen=True)
class Turn:
    """One message. `pieces` cuts the content where the weight of learning changes."""

    role: str
    content: str = ""
    call: tuple[str, dict[str, Any]] | None = None
    pieces: tuple[tuple[str, float], ...] = ()

    def text(self) -> str:
        return "".join(piece for piece, _ in self.pieces) or self.content


@dataclass(frozen=True)
class Dialogue:
    """Messages and the tools offered with them."""

    turns: list[Turn]
    tools: list[Tool] = field(default_factory=list)


def user(content: str) -> Turn:
    return Turn("user", content)


def pilot(content: str) -> Turn:
    return Turn("assistant", content)


def call_text(name: str, arguments: dict[str, Any]) -> str:
    """What the model writes to call a tool."""
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def head(system: str, tools: list[Tool]) -> str:
    """The system message, with the tools in it."""
    if tools:
        lines = "".join(tool.as_line() + "\n" for tool in tools)
        opening = f"{system}\n" if system else ""
        return f"{START}system\n{opening}<tools>\n{lines}</tools>{END}\n"
    return f"{START}system\n{system}{END}\n" if system else ""


def render(dialogue: Dialogue) -> list[tuple[str, float]]:
    """Stretches of text with the weight of each (0: read only, 1: learn to write)."""
    turns = list(dialogue.turns)
    system = turns.pop(0).content if turns and turns[0].role == "system" else ""
    out = [(head(system, dialogue.tools), 0.0)]
    for turn in turns:
        out.extend(render_turn(turn))
    return [(text, weight) for text, weight in out if text]


def render_turn(turn: Turn) -> list[tuple[str, float]]:
    """One message as stretches of text."""
    opening = (f"{START}{turn.role}\n", 0.0)
    if turn.role == "assistant":
        body = list(turn.pieces) or [(turn.content, 1.0)]
        if turn.call:
            gap = "\n" if turn.content else ""
            body.append((gap + call_text(*turn.call), 1.0))
        return [opening, *body, (END, 1.0), ("\n", 0.0)]
    if turn.role == "tool":
        body_text = f"<tool_response>\n{turn.content}\n</tool_response>"
        return [opening, (body_text + END + "\n", 0.0)]
    return [opening, (turn.content + END + "\n", 0.0)]
