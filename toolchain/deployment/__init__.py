"""A network on a chip: the result of ``deploy``, and its archive."""

from toolchain.deployment.deployment import Deployment

__all__ = ["Deployment"]
