"""What the business runs from the command line: the seed, and a vendor to practise on."""
