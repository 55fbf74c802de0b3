"""The loop and what people touch: Agent, recorder, report, benchmarks, command line."""
