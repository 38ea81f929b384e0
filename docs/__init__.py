"""The documentation site: its pages, and what is made of the source when it is built."""
