"""Everything that is Heartbeat's own, and nothing that is the lab's: how it writes times, the directives of `ha.cf`,
the formats of `haresources` and `authkeys`, what it says in its logs. Typed tables and pure functions, no Docker.
"""
