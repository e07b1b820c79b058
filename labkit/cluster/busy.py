"""How busy the host of a node is, where that is not the client's: of that one the measuring agent tells. Rank 4."""

from labkit.engine import Container

# As the agent reads it (images/shared/agent.c): CPU time by what it went for, and how long somebody waited for a CPU.
LOOK = "getconf CLK_TCK; head -n 1 /proc/stat; head -n 1 /proc/pressure/cpu 2>/dev/null || true"


def reading(node: Container) -> dict[str, int | None] | None:
    """idle_ms, steal_ms, all_ms and waited_us of its host since it was booted, as in a `cpu` event; None if it cannot
    be asked, because it does not run."""
    done = node.run("sh", "-c", LOOK) if node.state() == "running" else None
    return parsed(done.output) if done and done.exit_code == 0 else None


def parsed(text: str) -> dict[str, int | None]:
    """Of what LOOK prints. waited_us is None where the kernel has no PSI."""
    ticks, stat, *pressure = text.splitlines()
    spent = [
        int(word) * 1000 // int(ticks) for word in stat.split()[1:9]
    ]  # user nice system idle iowait irq softirq steal
    waited = int(pressure[0].rpartition("total=")[2]) if pressure else None
    return {"idle_ms": spent[3] + spent[4], "steal_ms": spent[7], "all_ms": sum(spent), "waited_us": waited}
