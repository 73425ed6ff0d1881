"""Chip families, and what they share.

``contract`` is what a family implements, ``functions`` its classes for a family made of functions,
``plugins`` and ``load`` find families and chips, ``conformance`` checks a family. ``rules``,
``compiled``, ``allow``, ``conditions``, ``resources`` and ``words`` are shared by all families,
``synsense`` by ``speck`` and ``xylo``. Families are imported late, so that none pays for another.
"""
