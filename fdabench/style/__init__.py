"""Colors and markers of strategies in figures, and the contrast of colors. `analysis` and `report` use them."""
