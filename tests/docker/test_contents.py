"""What the images are made of, asked of the images themselves."""

from labkit.engine import Engine, contents
from labkit.engine.images import Images


def test_the_list_has_every_package_of_both_images(engine: Engine, images: Images) -> None:
    """With the versions that are installed, the base, and the digest of what they were built from; the same twice."""
    found = contents.contents(engine, images)
    assert found["platform"] == images.platform.name
    assert found["base"] != "unknown"
    assert found["context"]
    assert found["node heartbeat"].startswith("1:3.0.6")
    assert {"node apache2", "node monit", "client socat"} <= found.keys()
    assert min(sum(what.startswith(f"{role} ") for what in found) for role in ("node", "client")) > 100
    assert contents.changes(found, contents.contents(engine, images)) == []
