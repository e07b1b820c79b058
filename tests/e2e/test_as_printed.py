"""The guide's own configuration, as printed, through the real runner."""

from pathlib import Path

from labkit import faults, history, runner
from labkit.cluster import Lab
from labkit.judging import judge
from labkit.store import RunFolder


def test_as_printed_nothing_moves(printed: Lab, tmp_path: Path) -> None:
    """Configured as the guide prints it, both nodes have the VIP, and stopping apache2 on one of them moves nothing:
    no node takes over, and where a client ends up depends on whose ARP answer it heard last."""
    folder = RunFolder.create(tmp_path, "apache-stop")
    runner.run(printed, runner.Scenario(faults.fault("apache-stop")), folder, watch=lambda _: None)
    result = judge(folder)
    (trial,) = result["trials"]
    assert trial["dual_owner_ms"] > 0
    assert {one["check"]: one["verdict"] for one in result["checks"]}["single-owner"] == "fail"
    assert result["predicted"]["outage_ms"] is None
    assert trial["takeover_ms"] is None

    (the_trial,) = history.trials(history.read(folder.history))
    inject, heal = the_trial.fault("inject"), the_trial.fault("heal")
    assert inject
    assert heal
    between = [one for one in the_trial.of("log") if inject["before_ns"] < one["t_ns"] < heal["before_ns"]]
    assert [one for one in between if one["marker"] in ("taking-over", "acquiring", "address-up")] == []
    refused = [one for one in the_trial.of("request") if one["outcome"] == "refused"]
    assert all(inject["before_ns"] < one["t_ns"] for one in refused)
    assert printed.owners() == list(printed.nodes)
