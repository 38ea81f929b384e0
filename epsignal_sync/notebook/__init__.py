"""For Jupyter notebooks."""
