# Both commands of the README, from the lock file; for machines that the lock file does not fit, and to have a set-up that stays.
#   docker build -t marval .                                                # from a clone (a worktree has no .git of its own)
#   docker run --rm -v "$PWD/results:/marval/results" marval                # make reproduce
#   docker run --rm marval make test
# GPUs (NVIDIA's container toolkit): docker run --rm --gpus all ...; several at once want --ipc=host besides, for NCCL's shared memory
# What a run remembers (dvc.lock, the cache, checkpoints) is gone with its container: leave --rm away, and `docker start -a` goes on.
# What is tested is Linux x86-64; elsewhere, if need be: docker build --platform linux/amd64 ...
FROM python:3.11-bookworm

# this base has git, make and a compiler
WORKDIR /marval
ENV PYTHON=python3.11
RUN git config --system --add safe.directory /marval

# the packages of the lock in a layer of their own, which changes with that file alone (or the recipe); set-up wants a git checkout
COPY Makefile requirements.txt ./
RUN git init -q && make .venv/installed && rm -rf .git /root/.cache

# with .git: DVC needs it, and records name the commit; then the project's own commands, without network
COPY . .
RUN git status --short && touch .venv/installed && make setup

CMD ["make", "reproduce"]
