"""The unmodified CuPy wheel, executed on host memory. Not a GPU, and not a test on one: see README.md.

    import hostcuda                     # before cupy is imported
    cupy = hostcuda.install()
    ...
    hostcuda.counters()["violations"]   # what a GPU would have refused
"""

import concurrent.futures
import contextlib
import ctypes
import fcntl
import glob
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import time

CUPY_VERSION = "14.2.0"  # the wheel of which the entry points, headers and calls below were checked
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "src")
# library: its sources, CuPy's extension module that links to it, the prefix of its functions, the error of a stub
LIBRARIES = {
    "libcuda.so.1": (["driver.cpp", "sort.cpp"], "api/runtime", "cuda", 801),
    "libcublasLt.so.13": ([], None, None, None),
    "libcublas.so.13": (["cublas.cpp"], "libs/cublas", "cublas", 15),
    "libcurand.so.10": (["curand.cpp"], "libs/curand", "curand", 201),
    "libnccl.so.2": (["nccl.cpp"], "libs/nccl", "nccl", 3),
}
COUNTERS = (
    "launches h2d h2d_bytes d2h d2h_bytes d2d d2d_bytes syncs mallocs malloc_bytes memsets threads graph_launches graph_operations violations float_atomics"
).split()  # the order of struct Stats in src/driver.cpp
stats = {"compiled": 0, "compile_seconds": 0.0, "nvrtc": 0, "nvrtc_seconds": 0.0}
_driver = None  # libcuda.so.1, once installed
_kernels = None  # the folder of compiled kernels


# ---------------------------------------------------------------- for users
def has_gpu():
    """Whether the driver finds a GPU; CuPy, which must not be imported yet, is not asked."""
    count = ctypes.c_int()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 < count.value


def why_not():
    """None where hostcuda can run, else the reason, for the message of a skipped test."""
    if platform.machine() != "x86_64" or not sys.platform.startswith("linux"):
        return "hostcuda needs Linux on x86-64, this is %s on %s" % (sys.platform, platform.machine())
    if not shutil.which("g++"):
        return "hostcuda needs g++ to compile kernels"
    try:
        found = importlib.metadata.version("cupy-cuda13x")
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found != CUPY_VERSION:
        return "hostcuda needs cupy-cuda13x==%s, found %s" % (CUPY_VERSION, found)
    if _driver is None and "cupy" in sys.modules:
        return "hostcuda must be installed before cupy is imported"
    return None


def install(lazy=False, devices=1, nvrtc=False, cache=None):
    """Redirect CuPy to host memory and return the cupy module; a second call changes nothing.

    lazy     run the work of a stream only when something waits for it, so that a missing wait shows;
             "default": of the default stream alone, so that other streams run before it
    devices  how many devices CuPy sees
    nvrtc    also compile every kernel with the real NVRTC, for sm_90
    cache    folder of what g++ compiled; $XDG_CACHE_HOME/hostcuda or ~/.cache/hostcuda by default
    """
    global _driver, _kernels
    if _driver is not None:
        return sys.modules["cupy"]
    reason = why_not()
    if reason:
        raise RuntimeError(reason)
    folder = _build(cache or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "hostcuda"))
    _kernels = os.path.join(folder, "kernels")
    os.environ["CUPY_ACCELERATORS"] = ""  # CUB and cuTENSOR are device code
    os.environ["CUPY_CACHE_DIR"] = os.path.join(folder, "cupy")
    # Loaded under their sonames, these are what CuPy's extension modules link to.
    libraries = {name: ctypes.CDLL(os.path.join(folder, name), mode=ctypes.RTLD_GLOBAL) for name in LIBRARIES}
    _driver = libraries["libcuda.so.1"]
    _driver.hc_violation_log.restype = _driver.hc_launch_names.restype = ctypes.c_char_p
    _driver.hc_stats.restype = ctypes.POINTER(ctypes.c_uint64)
    memory = int(os.environ.get("HOSTCUDA_MEMORY", 0))
    _driver.hc_config(2 if lazy == "default" else int(lazy), devices, int(bool(os.environ.get("HOSTCUDA_VERBOSE"))), ctypes.c_size_t(memory))
    libraries["libcublas.so.13"].hc_set_blas(*_openblas())
    _redirect(_extension("cupy_backends/cuda/api/runtime"))
    import cupy
    import cupy.cuda.compiler

    for module in ("cupy/random/_generator_api", "cupy/cuda/thrust", "cupy/cuda/cub"):
        _redirect(_extension(module), only=("cudaLaunchKernel", "cudaLaunchKernelExC"))
    _replace_sorting(cupy)
    _refuse_generators(cupy)
    cupy.cuda.compiler._compile_module_with_cache = lambda source, options=(), **how: _module(cupy, source, tuple(options), nvrtc, **how)
    return cupy


def counters():
    """Launches, copies and bytes by direction, synchronizations, allocations, violations, since the last reset."""
    values = _driver.hc_stats()
    return {name: values[i] for i, name in enumerate(COUNTERS)}


def violations():
    """What a GPU would have refused, or hostcuda does not emulate: one sentence for each."""
    return _driver.hc_violation_log().decode().splitlines()


def launch_names():
    """{kernel or library function: number of launches} since the last reset."""
    lines = (line.rsplit("\t", 1) for line in _driver.hc_launch_names().decode().splitlines())
    return {name: int(count) for name, count in lines}


def reset():
    """Set all counters to zero and forget the violations."""
    _driver.hc_reset()


# ---------------------------------------------------------------- building the libraries
@contextlib.contextmanager
def _lock(path):
    """Held by one process at a time; the system releases it if that process dies."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


#: of the kernels, and of the precompiled header: g++ takes that only with the same options
_KERNEL_FLAGS = "-std=c++17 -O2 -march=native -fno-math-errno -w -fpermissive -fPIC -fno-gnu-unique -fvisibility=hidden".split()


def _gxx(*arguments, flags=("-std=c++17", "-O2", "-fPIC")):
    run = subprocess.run(["g++", *flags, *arguments], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError("hostcuda: g++ %s failed:\n%s" % (" ".join(arguments), run.stderr[:4000]))


def _build(root):
    """Compile the stand-in libraries, once for each state of the sources, compiler, processor and CuPy."""
    key = hashlib.sha256(CUPY_VERSION.encode())
    for path in [os.path.abspath(__file__), *sorted(glob.glob(SOURCES + "/**", recursive=True))]:
        if os.path.isfile(path):
            with open(path, "rb") as file:
                key.update(file.read())
    key.update(subprocess.run(["g++", "--version"], capture_output=True, check=True).stdout)
    with open("/proc/cpuinfo") as file:  # kernels are compiled with -march=native
        key.update("".join(sorted({line for line in file if line.startswith(("flags", "model name"))})).encode())
    folder = os.path.join(root, key.hexdigest()[:16])
    os.makedirs(os.path.join(folder, "kernels"), exist_ok=True)
    with _lock(os.path.join(folder, "lock")):
        missing = [name for name in LIBRARIES if not os.path.exists(os.path.join(folder, name))]
        sources = sorted({source for name in missing for source in LIBRARIES[name][0]})
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(lambda source: _gxx("-c", os.path.join(SOURCES, source), "-o", os.path.join(folder, source + ".o")), sources):
                pass
        for name in missing:
            _link(folder, name)
        # Reading the headers is three quarters of compiling a small kernel.
        precompiled = os.path.join(folder, "hc_shim.h.gch")
        if not os.path.exists(precompiled):
            _gxx("-x", "c++-header", os.path.join(SOURCES, "hc_shim.h"), "-o", precompiled + ".tmp", flags=_KERNEL_FLAGS)
            os.replace(precompiled + ".tmp", precompiled)
    return folder


def _link(folder, name):
    sources, module, prefix, error = LIBRARIES[name]
    library, stubs = os.path.join(folder, name), os.path.join(folder, name + ".stubs.cpp")
    objects = [os.path.join(folder, source + ".o") for source in sources]
    with open(stubs, "w") as file:
        file.write(_stubs(module, prefix, error, objects) if module else "")
    _gxx("-shared", "-Wl,-soname," + name, *objects, stubs, "-ldl", "-lrt", "-lpthread", "-o", library + ".tmp")
    os.replace(library + ".tmp", library)
    for path in [*objects, stubs]:
        os.remove(path)


def _stubs(module, prefix, error, objects):
    """C++ in which every function that CuPy's module needs, and that the objects lack, fails with its own name."""
    path = _extension("cupy_backends/cuda/" + module)
    needed = {"hc_" + name for name in _symbols(path)} if prefix == "cuda" else _symbols(path, undefined=True)
    have = set().union(*(_symbols(path) for path in objects))
    wanted = re.compile(("hc_" if prefix == "cuda" else "") + prefix + "[A-Z]")
    lines = ["#include <stdio.h>", 'extern "C" void hc_unsupported_named(const char*);']
    for name in sorted(name for name in needed if wanted.match(name) and name not in have):
        plain = name.removeprefix("hc_")
        lines.append('extern "C" int %s() { fprintf(stderr, "hostcuda: %s is not emulated\\n"); hc_unsupported_named("%s"); return %d; }' % (name, plain, plain, error))
    return "\n".join(lines)


def _extension(name):
    """The path of one of the wheel's extension modules."""
    package, rest = name.split("/", 1)
    folder = list(importlib.util.find_spec(package).submodule_search_locations)[0]
    return glob.glob(os.path.join(folder, rest + ".*.so"))[0]


def _openblas():
    """sgemm, dgemm, cgemm, zgemm of the OpenBLAS inside NumPy's wheel; nulls (plain loops) where there is none."""
    import numpy

    for path in glob.glob(os.path.join(os.path.dirname(numpy.__file__), "../numpy.libs/libscipy_openblas64_*.so")):
        library = ctypes.CDLL(path)
        try:
            return [ctypes.cast(library["scipy_%sgemm_64_" % letter], ctypes.c_void_p) for letter in "sdcz"]
        except AttributeError:
            pass
    return [ctypes.c_void_p(None)] * 4


# ---------------------------------------------------------------- redirecting functions inside the wheel
def _symbols(path, undefined=False):
    """{function: its address in the file}; or the names that an ELF file expects from other libraries."""
    with open(path, "rb") as file:
        data = file.read()
    (offset,) = struct.unpack_from("<Q", data, 40)
    size, count, _ = struct.unpack_from("<HHH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, offset + i * size) for i in range(count)]
    symbols = {}
    for _, kind, _, _, start, length, link, _, _, _ in sections:
        if kind != (11 if undefined else 2):  # SHT_DYNSYM, SHT_SYMTAB
            continue
        strings = data[sections[link][4] : sections[link][4] + sections[link][5]]
        for at in range(start, start + length, 24):
            name, info, _, section, value, _ = struct.unpack_from("<IBBHQQ", data, at)
            if (section == 0) if undefined else (info & 15 == 2 and section):
                symbols[strings[name : strings.index(b"\0", name)].decode()] = value
    return symbols


def _redirect(path, only=None):
    """Overwrite, in memory, the CUDA runtime functions linked into an extension module with jumps to the driver."""
    # The later import of the module finds this mapping of the same file.
    library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    symbols = _symbols(path)
    init = "PyInit_" + os.path.basename(path).split(".")[0]
    base = ctypes.cast(library[init], ctypes.c_void_p).value - symbols[init]
    libc = ctypes.CDLL(None)
    read_execute, all_access = 5, 7
    for name in only or [name for name in symbols if re.match("cuda[A-Z]", name)]:
        target = _driver["hc_precompiled" if only else "hc_" + name]
        jump = b"\xff\x25\0\0\0\0" + struct.pack("<Q", ctypes.cast(target, ctypes.c_void_p).value)
        address = base + symbols[name]
        page = ctypes.c_void_p(address & ~4095)
        if libc.mprotect(page, ctypes.c_size_t(8192), all_access):
            raise OSError("hostcuda: the system forbids writing to code pages")
        ctypes.memmove(address, jump, len(jump))
        libc.mprotect(page, ctypes.c_size_t(8192), read_execute)


def _replace_sorting(cupy):
    """cupy.sort, argsort, lexsort and what is built on them end in these three functions of cupy.cuda.thrust."""
    import numpy

    def call(function, dtype, *arguments):
        dtype = numpy.dtype(dtype)
        stream = cupy.cuda.get_current_stream().ptr
        status = function(ctypes.c_void_p(stream), ctypes.c_char(dtype.kind.encode()), dtype.itemsize, *arguments)
        if status == -1:
            raise NotImplementedError("hostcuda does not sort %s" % dtype)
        if status:
            raise RuntimeError("hostcuda: " + violations()[-1])

    def rows(shape):
        count = 1
        for n in shape[:-1]:
            count *= n
        return ctypes.c_size_t(count), ctypes.c_size_t(shape[-1])

    def sort(dtype, data_start, keys_start, shape):
        call(_driver.hc_sort, dtype, ctypes.c_void_p(data_start), None, *rows(shape))

    def argsort(dtype, idx_start, data_start, keys_start, shape):
        call(_driver.hc_sort, dtype, ctypes.c_void_p(data_start), ctypes.c_void_p(idx_start), *rows(shape))

    def lexsort(dtype, idx_start, keys_start, k, n):
        call(_driver.hc_lexsort, dtype, ctypes.c_void_p(keys_start), ctypes.c_void_p(idx_start), ctypes.c_size_t(k), ctypes.c_size_t(n))

    cupy.cuda.thrust.sort, cupy.cuda.thrust.argsort, cupy.cuda.thrust.lexsort = sort, argsort, lexsort


def _refuse_generators(cupy):
    """The kernels of random.Generator are compiled into the wheel, and it does not notice when they fail."""

    def refuse(name):
        def raises(*args, **kwargs):
            raise NotImplementedError("hostcuda does not emulate cupy.random.%s; cupy.random.RandomState and cupy.random.seed work" % name)

        return raises

    modules = [cupy.random, cupy.random._generator_api, cupy.random._bit_generator]
    for name in ("default_rng", "Generator", "BitGenerator", "XORWOW", "MRG32k3a", "Philox4x3210"):
        for module in modules:
            if hasattr(module, name):
                setattr(module, name, refuse(name))


# ---------------------------------------------------------------- kernels
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+(?:__align__\([^)]*\)\s*)?([\w:<> ]+?)\s+(\w+)\s*\[\s*\]\s*;")
_BARRIER = re.compile(r"__syncthreads|__syncwarp|_sync\s*\(")
_THREADS = re.compile(r"threadIdx|blockIdx|blockDim|gridDim|__shared__")
_BOUNDS = r"(?:__launch_bounds__\s*\([^)]*\)\s*)?"
_KERNEL = re.compile(r'(extern\s*"C"\s*)?(?:__forceinline__\s+)?__global__\s+' + _BOUNDS + r"void\s+" + _BOUNDS + r"(\w+)\s*\(")
_GLOBAL = re.compile(r"__(?:constant|device|managed)__\s+(?:__align__\([^)]*\)\s*)?([\w:<>,\s*]+?)\b(\w+)\s*(?:\[[^\]]*\]\s*)*(?:=[^;]*)?;")


def _host_source(source, expressions):
    """CUDA C++ as C++ for g++ with exported entries, and {name expression: entry}."""
    source = _DYNAMIC_SHARED.sub(r"\1* \2 = (\1*)hc_dynamic;", source)
    plain = _COMMENT.sub("", source)
    flags = "0"
    if _BARRIER.search(plain):
        flags = "HC_FIBERS"
    elif "CUPY_FOR(" in plain and not _THREADS.search(plain):
        flags = "HC_GRID_STRIDE"
    if expressions is None:  # only extern "C" kernels can be found by their plain names
        block = re.search(r'extern\s*"C"\s*\{', plain)
        entries = {name: name for c, name in _KERNEL.findall(plain) if c or block}
    else:
        entries = {e: "%s_%d" % (re.sub(r"\W+", "_", e).strip("_"), i) for i, e in enumerate(expressions)}
    lines = ["HC_EXPORT hc_Entry hc_entry_%s = hc_kernel<&%s, %s>::entry;" % (entry, e, flags) for e, entry in entries.items()]
    lines += ["HC_EXPORT hc_Global hc_global_%s = {(void*)&%s, sizeof(%s)};" % (n, n, n) for n in dict.fromkeys(n for _, n in _GLOBAL.findall(plain))]
    return '#include "hc_shim.h"\n%s\n%s\n' % (source, "\n".join(lines)), entries


def _flags(source, options):
    cccl = re.search(r"#\s*include\s*<(cuda/|cub/|thrust/|cooperative)", source)
    half = re.search("float16|__half|bfloat16", source)
    flags = ["-I" + os.path.dirname(_kernels), "-I" + SOURCES, *([] if cccl else ["-I" + SOURCES + "/inc"])]
    flags += ["-D__CUDACC_VER_MAJOR__=13"] if half else []
    for option in options:
        toolkit = os.path.exists(os.path.join(option[2:], "cuda_runtime_api.h"))  # ours take its place
        if option.startswith("-D") or (option.startswith("-I") and not toolkit and (cccl or "_cccl" not in option)):
            flags.append(option)
    return flags


def _module(cupy, source, options, nvrtc, arch=None, extra_source=None, backend="nvrtc", enable_cooperative_groups=False, name_expressions=None, log_stream=None, jitify=False, to_ltoir=False):
    """In the place of CuPy's compile-and-load: the same arguments, the same kind of module."""
    if backend != "nvrtc" or enable_cooperative_groups or to_ltoir:
        raise NotImplementedError("hostcuda does not emulate backend='nvcc', cooperative groups or link-time optimization")
    text, entries = _host_source(source, name_expressions)
    flags = _flags(source, options)
    path = os.path.join(_kernels, hashlib.sha256((text + repr(flags)).encode()).hexdigest()[:24])
    if not os.path.exists(path + ".so"):
        with _lock(path + ".lock"):
            if not os.path.exists(path + ".so"):
                _compile(cupy, source, text, flags, path)
    if nvrtc and not os.path.exists(path + ".nvrtc"):
        _check_with_nvrtc(cupy, source, options, name_expressions)
        open(path + ".nvrtc", "w").close()
    module = cupy.cuda.function.Module()
    module.load(b"HOSTCUDA:" + path.encode() + b".so")
    if name_expressions is not None:
        module._set_mapping(entries)
    return module


def _compile(cupy, source, text, flags, path):
    start = time.time()
    with open(path + ".cpp", "w") as file:
        file.write(text)
    command = ["g++", *_KERNEL_FLAGS, "-shared", "-Wl,-Bsymbolic", *flags, path + ".cpp", "-o", path + ".tmp"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode and "section type conflict" in run.stderr:  # see __shared__ in hc_shim.h
        run = subprocess.run([*command, "-DHC_PLAIN_SHARED"], capture_output=True, text=True)
    if run.returncode:
        raise cupy.cuda.compiler.CompileException("hostcuda: g++ refused the kernel:\n" + run.stderr[:4000], source, path + ".cpp", tuple(command), "g++")
    os.replace(path + ".tmp", path + ".so")
    os.remove(path + ".cpp")
    stats["compiled"] += 1
    stats["compile_seconds"] += time.time() - start


def _check_with_nvrtc(cupy, source, options, name_expressions):
    """The same source through the real compiler, for a real architecture. The result is not used."""
    start = time.time()
    compiler = cupy.cuda.compiler
    compiler._get_arch_for_options_for_nvrtc = lambda arch=None: ("-arch=sm_90", "cubin")
    compiler._compile_using_nvrtc_no_warning(source, (*options, "-ftz=true"), "90", "kernel.cu", name_expressions)
    stats["nvrtc"] += 1
    stats["nvrtc_seconds"] += time.time() - start
