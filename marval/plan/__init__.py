"""What a preset would take, before anything runs: `python -m marval plan`. Networks are counted on the meta device."""
