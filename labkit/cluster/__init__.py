"""A lab in the engine: making it, finding it again, its nodes' verbs, removing it. Rank 4.

lab: the running lab and its verbs. lifecycle: up, find, down, gc. look: what `labkit check` sees. access: SSH.
"""

from labkit.cluster.lab import Bracket, Lab, NodeStatus

__all__ = ["Bracket", "Lab", "NodeStatus"]
