"""The counters. The closed form and the dispatch counter share no formula; `crosscheck` compares them."""
