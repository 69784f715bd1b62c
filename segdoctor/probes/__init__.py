"""The probes, one cause each. :mod:`~segdoctor.probes.registry` lists them all."""
