"""The rules of the code, kept by tests: each rule is a plain function over source text."""
