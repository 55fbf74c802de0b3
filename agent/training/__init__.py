"""What training learns from: generators of pages, and the wiring of generator, trainer and evaluation."""
