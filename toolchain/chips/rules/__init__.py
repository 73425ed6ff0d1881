"""Rules, trials and hints of every chip family, for float graphs and for integer programs.

``findings`` holds what a rule is and how it reports; ``trial`` runs rules on a subject and judges
whether a changed subject is better; ``hints`` turns what was tried into remedies; ``graph`` holds
rules on float graphs that several families share.
"""
