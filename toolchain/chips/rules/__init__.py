"""Rules, trials and hints of every chip family, for float graphs and for integer programs.

``findings`` holds what a rule is and how it reports, ``each`` rules that ask every layer the same,
``graph`` rules on float graphs that families share; ``trial`` runs rules on a subject and judges
whether a changed subject is better, ``hints`` makes remedies of what was tried, ``acceptance`` the
line that ends a refusal.
"""
