"""Secure aggregation: the coordinator learns the sum of the clients' updates, and no single one.

Source: Bonawitz, Ivanov, Kreuter, Marcedone, McMahan, Patel, Ramage, Segal, Seth: Practical Secure Aggregation for
Privacy-Preserving Machine Learning, CCS 2017; the protocol of figure 4 in its honest-but-curious form.
"""
