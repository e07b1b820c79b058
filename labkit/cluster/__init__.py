"""A lab in the engine: making it, finding it again, its nodes' verbs, removing it. Rank 4.

lab: the running lab and its verbs. making: its parts. lifecycle: up, find, down, gc. look: what `labkit check` sees.
access: SSH. service: the files of a service of the user's own. doctor: what the host can do.
"""

from labkit.cluster.lab import Bracket, Lab, NodeStatus

__all__ = ["Bracket", "Lab", "NodeStatus"]
