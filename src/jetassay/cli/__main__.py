"""`python -m jetassay.cli`."""

from jetassay.cli import main

main()
