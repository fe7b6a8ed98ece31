"""Runtimes that execute engines, one per file, behind one interface."""
