"""InternVL3.5 as a policy: tiling, prompts, profiles, checkpoints and the bundled checkpoint."""
