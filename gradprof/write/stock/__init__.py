"""What the stock dashboards show: `scalars` and `histograms` of log10|g|, thinned by `pace`."""
