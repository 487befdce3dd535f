"""jetassay measures what jet-tagging backbones have learned."""

__version__ = "0.1.0"
