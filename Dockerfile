# Both commands of the README, from the lock file; for machines that the lock file does not fit, and to have a set-up that stays.
#   docker build -t marval .                                                # from a clone (a worktree has no .git of its own)
#   docker run -it --name digits -v "$PWD/results:/marval/results" marval   # make reproduce
#   docker start -ai digits                                                 # the same, where it was interrupted
#   docker run -it --rm marval make test
# Ctrl-C, with -it or without, and `docker stop` end a run as in a terminal.
# What a run remembers (dvc.lock, the cache, checkpoints) is in its container, and gone with it: --rm is for what need not go on.
# GPUs (NVIDIA's container toolkit): docker run --gpus all ...; several at once want --ipc=host besides, for NCCL's shared memory
# What is tested is Linux x86-64; elsewhere, if need be: --platform linux/amd64 behind `docker build` and `docker run`
FROM python:3.11-bookworm

# This base has git, make and a compiler. A signal is for all processes of a run, and make as the first process of a container does not
# end by one: after Ctrl-C it goes round in a loop for ever.
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["tini", "-g", "--"]
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
