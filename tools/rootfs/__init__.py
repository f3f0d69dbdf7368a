"""Reads and judges the data below `os/rootfs` without building an image.

Units, presets, users, temporary files and scripts refer to each other by name; a wrong
name shows up at the first boot, or at the first that goes wrong. `lint` finds it in a
second. What needs the packages' files as well is checked when the tree is built.
"""
