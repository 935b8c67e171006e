"""MARVAL: masked auto-regressive diffusion, one-step distillation by guided score implicit matching, and reward fine-tuning.

The tree is the table of contents: `noise` (the diffusion process), `masking` (the auto-regressive order), `models`,
`objectives` (the losses, as pure functions), `training` (one loop that knows no method), `sampling`, `data`, and
`stages`, the short programs that `dvc.yaml` runs.
"""
