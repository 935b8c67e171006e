"""Judges of images: miniature ones for small images, and the folder that a reproduction keeps its judges in.

`registry` lists them, `settings` is the section of a preset (neither loads a network), `files` builds and reads them,
`opened` opens all judges of a reproduction, miniature or published.
"""
