"""The speed of the reductions: `python tests/benchmarks/kernels.py --device cuda`, see `--help`."""

if __name__ == "__main__":  # transformers looks for a package named kernels, and imports this if it is run
    from kernel_speed.command import main

    raise SystemExit(main())
