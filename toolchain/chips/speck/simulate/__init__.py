"""Bit-exact simulation of a program, clocked or event by event.

``run`` is the entry point, for rasters (``raster``, ``scan``) and ``events``. ``clocked`` runs
``kernel``, ``event`` runs ``event_kernel`` with ``options`` for undocumented behaviour;
``twin`` and ``event_twin`` are slow reference implementations. Kernels read the flat arrays of
``pack``, ``layout`` and ``tables`` and write to ``buffers``, which become a ``recording``.
``order`` measures the effect of the order of simultaneous events, and ``readout`` simulates
the readout block.
"""
