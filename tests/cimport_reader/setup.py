"""Nothing here says where coincall_fast is: Cython finds its .pxd as Python finds the package."""

from setuptools import Extension, setup  # type: ignore[import-untyped]

setup(ext_modules=[Extension("cimport_reader", ["cimport_reader.pyx"])])
