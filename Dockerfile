# Both commands of the README, from the lock file; for machines that the lock file does not fit, and to have a set-up that stays.
#   docker build -t marval .                                                # from a clone (a worktree has no .git of its own)
#   docker run --rm -v "$PWD/results:/marval/results" marval                # make reproduce
#   docker run --rm marval make test
# GPUs (NVIDIA's container toolkit): docker run --rm --gpus all ...
# What is tested is Linux x86-64; elsewhere, if need be: docker build --platform linux/amd64 ...
FROM python:3.11-bookworm

# this base has git, make and a compiler
WORKDIR /marval
ENV PYTHON=python3.11
RUN git config --system --add safe.directory /marval

# the environment in a layer of its own, which changes with the lock file alone; set-up wants a git checkout
COPY Makefile requirements.txt ./
RUN git init -q && make setup && rm -rf .git /root/.cache

# with .git: DVC needs it, and records name the commit
COPY . .
RUN touch .venv/installed && git status --short

CMD ["make", "reproduce"]
