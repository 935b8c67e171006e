# Both commands of the README, from the lock file; for machines that the lock file does not fit, and to have a set-up that stays.
#   docker build -t marval .                                                # from a clone (a worktree has no .git of its own)
#   docker run -it --name digits -v "$PWD/results:/marval/results" marval   # make reproduce
#   docker start -ai digits                                                 # the same, where it was interrupted
#   docker run -it --rm marval make test
# Without -it, Ctrl-C reaches make alone, which waits for what it has started: `docker stop` ends that.
# What a run remembers (dvc.lock, the cache, checkpoints) is in its container, and gone with it: --rm is for what need not go on.
# GPUs (NVIDIA's container toolkit): docker run --gpus all ...; several at once want --ipc=host besides, for NCCL's shared memory
# What is tested is Linux x86-64; elsewhere, if need be: --platform linux/amd64 behind `docker build` and `docker run`
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

# the commands of the set-up without make: docker run -it --rm marval snakemake --help
ENV PATH=/marval/.venv/bin:$PATH
CMD ["make", "reproduce"]
