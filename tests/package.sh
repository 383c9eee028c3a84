#!/bin/sh
# The package as others install it: the sdist and the wheel that is made of it, in an environment
# without MPI and Numba; then with MPI. Needs .venv; makes an environment of its own.
set -eu
cd "$(dirname -- "$0")/.."
out=$(mktemp -d)
trap 'rm -r "$out"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1

.venv/bin/pip install build twine 'setuptools>=77'
.venv/bin/python -m build --no-isolation --outdir "$out" . > "$out/build.log" || { cat "$out/build.log"; exit 1; }
.venv/bin/twine check --strict "$out"/dtrain-*
tar -tf "$out"/dtrain-*.tar.gz > "$out/files"
git ls-files | grep -v '^\.gitignore$' | while read -r file; do
    grep -q "^dtrain-[^/]*/$file$" "$out/files" || { echo "the sdist lacks $file"; exit 1; }
done

.venv/bin/python -m venv "$out/venv"
cd "$out"  # where no dtrain lies
venv/bin/pip install dtrain-*.whl
venv/bin/pip check
venv/bin/dtrain --version
cat > train.py << 'END'
import dtrain
from dtrain import nn
from dtrain.data import DataLoader, TensorDataset
from dtrain.parallel import DataParallel

dtrain.manual_seed(0)
x = dtrain.randn(64, 4)
loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=4, microbatches=4)
model = DataParallel(nn.Linear(4, 1))
optimizer = dtrain.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(5):
    for step in loader.steps():
        for inputs, target in step:
            nn.functional.mse_loss(model(inputs), target).backward()
        optimizer.step()
        optimizer.zero_grad()
print("weight", *(float(w).hex() for w in model.module.weight.reshape(-1)))
END
venv/bin/python train.py > alone
venv/bin/dtrain debug -n 2 train.py | sed 's/^\[[01]\] //' | sort -u > threads
cmp alone threads
venv/bin/pip install "$(echo dtrain-*.whl)[mpi]"
venv/bin/dtrain run -n 2 train.py | sort -u > processes
cmp alone processes
echo "package: installed from the wheel; the same weights alone, on 2 threads and on 2 processes"
[ "${1-}" = --long ] || exit 0

# The sdist's own tests, from a folder that is no checkout.
tar -xf dtrain-*.tar.gz
cd dtrain-*/
make test
