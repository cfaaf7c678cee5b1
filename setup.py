"""Packaging. `kernels/` stands at the top level of the project and is installed as `gradprof.kernels`."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

DEMO = ["torchvision", "scikit-learn"]
BENCH = ["torchvision", "transformers>=5"]
CPU = ["numba>=0.60"]
TEST = [*DEMO, *BENCH, *CPU, "hypothesis", "import-linter>=2.17", "pytest", "ruff", "selenium"]
DEV = [*TEST, "mypy"]

KERNELS = [f"gradprof.kernels.{backend}" for backend in ("numba", "torch", "triton")]

namespace: dict[str, str] = {}
exec((HERE / "gradprof" / "version.py").read_text(), namespace)

setup(
    name="gradprof",
    version=namespace["__version__"],
    description="A TensorBoard-centric gradient profiler for PyTorch",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[*find_packages(include=["gradprof", "gradprof.*"]), "gradprof.kernels", *KERNELS],
    package_dir={"gradprof.kernels": "kernels"},
    package_data={"gradprof": ["py.typed"], "gradprof.tab": ["static/*.*", "static/*/*"]},
    install_requires=[
        "torch>=2.11",
        "numpy>=1.26",
        "tensorboard>=2.21,<3",
        "google-crc32c>=1.5",
        "rich>=13",
        # Triton publishes wheels for Linux only, for these processors.
        "triton>=3.6; platform_system == 'Linux' and platform_machine in 'x86_64 aarch64'",
    ],
    extras_require={"bench": BENCH, "cpu": CPU, "demo": DEMO, "test": TEST, "dev": DEV},
    entry_points={
        "console_scripts": ["gradprof = gradprof.cli:main"],
        "tensorboard_plugins": ["gradprof = gradprof.tab.plugin:GradientsPlugin"],
    },
    classifiers=[
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
