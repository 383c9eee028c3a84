"""`--trace`: a timeline of all ranks on one clock."""
