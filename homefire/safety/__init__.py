"""What may go in (policy), what may come out (boundary), and the only way out of a sandbox (egress): docs/security.md.

Promises: what is refused is refused outside the model, by rules a person can read; no text raises what may be done.
Does not cover: who is asked and how an effect is carried out (`server/`, the agent), and limits of a running program
(`sandbox/`).
"""

from homefire.safety.boundary import Boundary
from homefire.safety.critic import Critic
from homefire.safety.guard import Guard
from homefire.safety.policy import Policy, mode_of
from homefire.safety.rules import load as load_rules

__all__ = ["Boundary", "Critic", "Guard", "Policy", "load_rules", "mode_of"]
