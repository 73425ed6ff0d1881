"""What a program does, bit for bit, clocked or event by event.

``run`` is the entry point, for rasters (``raster``, ``scan``) and ``events``. ``clocked`` runs
``kernel``, ``event`` runs ``event_kernel`` with the ``options`` that the silicon leaves open;
``twin`` and ``event_twin`` compute the same slowly and plainly. Kernels read a program as ``pack``,
``layout`` and ``tables`` lay it out and write into ``buffers``, which become a ``recording``.
``order`` asks what the order of simultaneous events changes, ``readout`` what the readout block
makes of the spikes.
"""
