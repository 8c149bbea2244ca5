"""The tools that come with Homefire: `all_tools` makes them of what the daemon hands in.

Promises: their names, descriptions and schemas are those of `tools.json`, which the pilot is trained on and the tab uses too.
Does not cover: memory (`memory.py`), tools of MCP servers (`agent/mcp/`), and what a key may do with which (`agent/grants.py`).
"""

from homefire.agent.tools.around import Around, all_tools
from homefire.agent.tools.plain import PlainTool, schema_of, shipped_text

__all__ = ["Around", "PlainTool", "all_tools", "schema_of", "shipped_text"]
