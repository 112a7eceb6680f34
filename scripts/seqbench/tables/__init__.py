"""Derived tables: numbers in, numbers out."""
