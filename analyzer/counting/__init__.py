"""The counters. The closed form and the dispatch counter share no formula; agreement holds them against each other."""
