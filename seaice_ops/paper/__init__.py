"""The protocol of Iqrah et al. 2024 (arXiv 2403.13135), run beside an honest one, so that its figures can be read."""
