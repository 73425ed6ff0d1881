"""Design rules and hints of every chip family, for float graphs and for integer programs.

``findings`` defines the type of a rule and how it reports, ``each`` makes rules that check one
layer at a time, ``graph`` has the rules on float graphs that families share. ``trial`` runs rules
on a subject and checks whether a changed subject removes a finding, ``hints`` turns successful
changes into remedies, and ``acceptance`` builds the last line of a refusal.
"""
