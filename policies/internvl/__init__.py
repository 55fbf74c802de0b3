"""InternVL3.5 as a policy: tiling, prompts, profiles, checkpoints and the bundled checkpoint."""

from foveate.policies.internvl.policy import InternVLPolicy

__all__ = ["InternVLPolicy"]
