"""Chip families and the code that they share.

``contract`` defines the interface of a family, ``functions`` implements it for families that are
written as plain functions, ``plugins`` and ``load`` find families and chips, and ``conformance``
tests a family. ``rules``, ``compiled``, ``allow``, ``conditions``, ``resources`` and ``words`` are
shared by all families, ``synsense`` by ``speck`` and ``xylo``. A family is imported only when one
of its chips is used.
"""
