"""What a native build needs: the kinds of build there are, the tools of each, and which of them this machine has.

Promises: deciding is pure: which program lies where comes from `Look`, what the machine is from its caller, so that every GPU can
be tried where there is none; nothing is run, nothing is fetched.
Does not cover: whether a kit that is there works (the build finds out); building (`build_child.py`).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from homefire.errors import BuildTools

CXX = "a C++ compiler"
# What a person says to get it, by the package manager that is there.
_INSTALL: Mapping[str, Mapping[str, str]] = {
    CXX: {"apt-get": "sudo apt-get install build-essential", "dnf": "sudo dnf install gcc-c++",
          "pacman": "sudo pacman -S base-devel",
          "zypper": "sudo zypper install gcc-c++", "xcode-select": "xcode-select --install", "winget":
          "winget install Microsoft.VisualStudio.2022.BuildTools"},
    "the CUDA toolkit (nvcc)": {"apt-get": "sudo apt-get install nvidia-cuda-toolkit", "dnf": "sudo dnf install cuda-toolkit",
                                "pacman": "sudo pacman -S cuda"},
    "ROCm (hipcc)": {"apt-get": "sudo apt-get install hipcc rocblas-dev hipblas-dev",
                     "dnf": "sudo dnf install hipcc hipblas-devel",
                     "pacman": "sudo pacman -S rocm-hip-sdk"},
    "the Vulkan SDK (glslc and its headers)": {"apt-get": "sudo apt-get install glslc libvulkan-dev spirv-headers",
                       "dnf": "sudo dnf install glslc vulkan-headers vulkan-loader-devel spirv-headers-devel",
                       "pacman": "sudo pacman -S shaderc vulkan-headers spirv-headers"},
    "Xcode's command line tools": {"xcode-select": "xcode-select --install"},
}  # fmt: skip
_PAGES = {
    "the CUDA toolkit (nvcc)": "https://developer.nvidia.com/cuda-downloads",
    "ROCm (hipcc)": "https://rocm.docs.amd.com",
    "the Vulkan SDK (glslc and its headers)": "https://vulkan.lunarg.com",
}


@dataclass(frozen=True, slots=True)
class Backend:
    """A kind of build: cmake's switches, and for each thing it needs the programs of which one must be there."""

    name: str
    switches: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]


_COMPILERS = ("c++", "g++", "clang++", "cl")
BACKENDS: Mapping[str, Backend] = {
    each.name: each
    for each in (
        Backend("cpu", ("-DGGML_NATIVE=ON",), {CXX: _COMPILERS}),
        Backend(
            "cuda",
            ("-DGGML_NATIVE=ON", "-DGGML_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=native"),
            {CXX: _COMPILERS, "the CUDA toolkit (nvcc)": ("nvcc",)},
        ),
        Backend(
            "rocm",
            ("-DGGML_NATIVE=ON", "-DGGML_HIP=ON"),
            {CXX: _COMPILERS, "ROCm (hipcc)": ("hipcc", "amdclang++")},
        ),
        Backend(
            "vulkan",
            ("-DGGML_NATIVE=ON", "-DGGML_VULKAN=ON"),
            {CXX: _COMPILERS, "the Vulkan SDK (glslc and its headers)": ("glslc",)},
        ),
        Backend(
            "metal",
            ("-DGGML_NATIVE=ON", "-DGGML_METAL=ON", "-DGGML_METAL_EMBED_LIBRARY=ON"),
            {CXX: _COMPILERS, "Xcode's command line tools": ("xcrun",)},
        ),
    )
}
# Of every build: nothing that asks the network, no page, no program that the server could start.
COMMON = (
    "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DGGML_CCACHE=OFF", "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_UI=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF", "-DLLAMA_SUBPROCESS=OFF", "-DLLAMA_BUILD_NUMBER=0",
)  # fmt: skip
# GPU makers in the order in which a machine's build is chosen, and the kind for each; the fallback where its kit is missing.
_OF_VENDOR = {"nvidia": ("cuda", "vulkan"), "amd": ("rocm", "vulkan"), "intel": ("vulkan",), "apple": ("metal",)}
# Instructions that a native build uses and the wheel, which is made for the oldest processors, does not.
NEWER = ("avx512f", "avx2")

Which = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Look:
    """Ways to the machine: where a program lies, and which system this is (`sys.platform`)."""

    which: Which
    system: str = sys.platform

    @classmethod
    def here(cls) -> Look:
        """This machine."""
        return cls(_which)


@dataclass(frozen=True, slots=True)
class Proposal:
    """The build that suits this machine. `missing`: what has to be installed first, `steps`: how; `why`: a sentence."""

    backend: str
    why: str
    missing: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        return not self.missing


def _which(program: str) -> str | None:
    if found := shutil.which(program):
        return found
    kits = [os.environ.get(name, "") for name in ("CUDA_PATH", "CUDA_HOME", "ROCM_PATH", "HIP_PATH", "VULKAN_SDK")]
    for folder in (*filter(None, kits), "/usr/local/cuda", "/opt/rocm"):
        if found := shutil.which(program, path=str(Path(folder) / "bin")):
            return found
    return None


def missing(backend: str, look: Look) -> tuple[str, ...]:
    """What a build of this kind needs and this machine lacks."""
    return tuple(what for what, programs in BACKENDS[backend].needs.items() if not any(map(look.which, programs)))


def steps(lacking: Sequence[str], look: Look) -> tuple[str, ...]:
    """How a person installs it here."""
    return tuple(_step(what, look) for what in lacking)


def _step(what: str, look: Look) -> str:
    known = _INSTALL.get(what, {})
    command = next((text for manager, text in known.items() if look.which(manager)), "")
    return command or f"Install {what}{': ' + _PAGES[what] if what in _PAGES else ''}."


def require(backend: str, look: Look) -> None:
    """Raises BuildTools, which names what is missing and how to get it."""
    if lacking := missing(backend, look):
        raise BuildTools(
            f"A build of the kind '{backend}' needs {' and '.join(lacking)}, which this machine lacks.",
            " ; ".join(steps(lacking, look)),
            param="backend",
        )


def propose(vendors: Sequence[str], instructions: Sequence[str], look: Look) -> Proposal | None:
    """The build for this machine: of its GPU's kind if it has one, else of the processor's if that can more than the wheel uses;
    None if neither. A kind whose kit is here goes before the maker's own whose kit is not."""
    for vendor, kinds in _OF_VENDOR.items():
        if vendor not in vendors:
            continue
        kind = next((each for each in kinds if not missing(each, look)), kinds[0])
        lacking = missing(kind, look)
        why = f"The wheel runs models on the processor alone; a {kind} build uses the {vendor.capitalize()} GPU."
        return Proposal(kind, why, lacking, steps(lacking, look))
    newer = next((each for each in NEWER if each in instructions), "")
    if not newer:
        return None
    lacking = missing("cpu", look)
    word = {"avx512f": "AVX-512", "avx2": "AVX2"}[newer]
    why = f"This processor has {word}, which the wheel does not use."
    return Proposal("cpu", why, lacking, steps(lacking, look))
