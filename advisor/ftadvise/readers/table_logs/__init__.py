"""Readers of delimited text and Parquet."""
