"""A lab as a Compose file, rendered from the samples of a real image: what `labkit compose` does."""

from labkit import compose
from labkit.cluster.making import image_samples
from labkit.engine import Engine, grants
from labkit.engine.images import Images
from labkit.spec import Spec


def render(engine: Engine, images: Images, spec: Spec) -> dict[str, str]:
    """Path inside the folder -> text."""
    samples = image_samples(engine, images.node, spec.name)
    return compose.files(spec, samples, images.platform.name, grants.LEAST)
