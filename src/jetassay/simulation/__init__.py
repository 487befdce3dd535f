"""Jets in the JetClass schema from packages of the Python index alone: Pythia, a parametric detector, FastJet.

Nothing heavy is imported here; generators are loaded in the processes that use them.
"""

from jetassay.simulation.recipe import JETCLASS2_NAMES, SIMULATION_VERSION, Recipe, default_output
from jetassay.simulation.sample import RECIPE_FILE, simulate

__all__ = ["JETCLASS2_NAMES", "RECIPE_FILE", "SIMULATION_VERSION", "Recipe", "default_output", "simulate"]
