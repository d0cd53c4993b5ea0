"""Are the tests worth anything? Break each odd rule of the engine in a copy, and demand that its tests go red."""
