"""A network on a chip: the result of ``deploy``, what it takes as input, and how it is saved."""

from toolchain.deployment.deployment import Deployment

__all__ = ["Deployment"]
