"""What may go in (policy), and what may come out (boundary): docs/security.md.

Promises: what is refused is refused outside the model, by rules a person can read; no text raises what may be done.
Does not cover: who is asked and how an effect is carried out (`server/`, the agent), and limits of a running program
(`sandbox/`).
"""

from homefire.safety.boundary import Boundary, Proposal, ToolSpec, Verdict
from homefire.safety.critic import Critic, Plan, Step
from homefire.safety.guard import Guard
from homefire.safety.policy import Decision, Policy, mode_of
from homefire.safety.rules import load as load_rules
from homefire.safety.taint import Label, joined, label

__all__ = [
    "Boundary",
    "Critic",
    "Decision",
    "Guard",
    "Label",
    "Plan",
    "Policy",
    "Proposal",
    "Step",
    "ToolSpec",
    "Verdict",
    "joined",
    "label",
    "load_rules",
    "mode_of",
]
