# dtrain on NVIDIA GPUs: CUDA 13, CuPy and NCCL.
#   docker build -t dtrain:cuda -f docker/cuda.Dockerfile .
#   docker run --rm --gpus all --shm-size=1g dtrain:cuda run -n 2 examples/digits.py --device cuda
FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        openssh-client openssh-server python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && mkdir -p /run/sshd \
    && printf 'Port 2222\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n' \
        > /etc/ssh/ssh_config.d/mpi.conf \
    && userdel --remove ubuntu \
    && useradd --create-home --uid 1000 mpiuser

ENV PATH=/opt/venv/bin:$PATH
WORKDIR /opt/dtrain
COPY pyproject.toml README.md LICENSE ./
COPY dtrain ./dtrain
# hadolint ignore=DL3013
RUN python3 -m venv /opt/venv \
    && pip install --no-cache-dir '.[mpi,cpu,cuda,examples]' 'nvidia-nccl-cu13>=2.27'
COPY examples ./examples
COPY docker/sshd_config /home/mpiuser/.sshd_config
RUN chown -R mpiuser:mpiuser /home/mpiuser /opt/dtrain

USER 1000
ENTRYPOINT ["dtrain"]
CMD ["doctor", "-n", "2"]
