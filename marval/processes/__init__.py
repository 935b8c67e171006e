"""The processes of a stage: the group that shares its work, the launcher, the GPUs, and a process with everything imported."""
