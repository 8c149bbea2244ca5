"""Finding things: words, vectors, signatures, fusion, patterns. Knows numbers of chunks, not where they come from.

A chunk's number is `group << 20 | place`: the group is the text it is in, so a text is removed, filtered and found by a shift.

Promises: importing this package loads nothing heavy; `words`, `vectors` and `signatures` load numpy, tantivy or faiss when they
are imported themselves, and raise `PackageMissing` where the extra `knowledge` is not installed. No file here is a truth: every
index can be made again from texts, and what it holds beyond the length or mark that its owner committed is cut off.
Does not cover: cutting texts into chunks, embedding them, and what exists (`knowledge/`, `store/`).
"""
