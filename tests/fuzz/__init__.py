"""Long runs against parsers and the HTTP interface, for `make fuzz`; no test of pytest's is in here."""
