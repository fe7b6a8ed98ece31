"""Code that executes engines, one runtime a file, behind one seam."""
